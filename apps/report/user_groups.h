#pragma once

#include <cstdint>
#include <vector>

#include "apps/analysis/kmeans.h"
#include "apps/analysis/principal_plane.h"
#include "apps/report/setting.h"

namespace derrd {

/// Number of groups of users in Figures 5 and 6 (Section 5.3).
inline constexpr int32_t kUserGroups = 20;

/// Users of the first split by the teacher's vectors of them.
struct UserGroups {
  int64_t dim = 0;
  std::vector<float> vectors;  ///< [users, dim]
  Clusters clusters;           ///< by k-means
  std::vector<size_t> shown;   ///< users on maps: of many users every n-th
  std::vector<Place> places;   ///< of the shown users, by t-SNE
};

/// Groups a BPR's users and lays them out. Without the teacher's training there are none.
/// @throws Error if the teacher can't be read.
UserGroups user_groups(const Setting& setting);

}  // namespace derrd
