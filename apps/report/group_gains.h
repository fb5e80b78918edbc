#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/report/setting.h"

namespace derrd {

/// Metric of Figure 5.
inline constexpr const char* kGainMetric = "N@20";

/// Gains in N\@20 of a method over the student, on the first split.
struct GroupGains {
  std::string method;
  std::vector<double> gains;    ///< of each user with a test item
  std::vector<int32_t> groups;  ///< group of each of these users
};

/// Returns the gains of those methods whose users were evaluated, as the student's were; empty
/// without the teacher, whose vectors make the groups.
std::vector<GroupGains> gains_by_group(const Setting& setting,
                                       const std::vector<std::string>& methods);

/// Counts the groups whose users gain on average.
/// @param times how often each user counts
int groups_that_gain(const GroupGains& gains, std::span<const uint32_t> times);

}  // namespace derrd
