#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace derrd {

/// Mean of a figure over the members of a group.
struct GroupMean {
  int64_t count = 0;  ///< members
  double mean = 0;    ///< 0 for an empty group
  /// Sample's standard deviation over the root of its size. None for fewer than two members.
  std::optional<double> standard_error;
};

/// Returns the mean of the values of each group, such as users' gains by cluster.
/// @param labels group of each value, 0..groups-1
/// @throws std::invalid_argument unless each value has such a label
std::vector<GroupMean> group_means(std::span<const double> values, std::span<const int32_t> labels,
                                   int32_t groups);

/// Returns the share of all members that are in groups with a negative mean; 0 without members.
double share_in_losing_groups(std::span<const GroupMean> groups);

}  // namespace derrd
