#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "apps/analysis/kmeans.h"
#include "apps/analysis/principal_plane.h"

namespace derrd {

/// Number of groups of users in Figures 5 and 6 (Section 5.3).
inline constexpr int32_t kUserGroups = 20;

/// Users in groups of similar ones, by a teacher's vectors of them.
struct UserGroups {
  int64_t dim = 0;
  std::vector<float> vectors;  ///< [users, dim]
  Clusters clusters;           ///< by k-means
  std::vector<size_t> shown;   ///< users on maps: of many users every n-th
  std::vector<Place> places;   ///< of the shown users, by t-SNE
};

/// Groups the users of a BPR model and lays them out, which takes seconds.
/// @throws Error if the file can't be read.
UserGroups group_users(const std::filesystem::path& model);

}  // namespace derrd
