#pragma once

#include <cstdint>
#include <vector>

#include "engine/teacher/teacher_data.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Ranking lists on the host, all padded to one length.
struct HostLists {
  std::vector<int32_t> items;  ///< [rows, R] best first, -1 behind the last
  std::vector<float> scores;   ///< [rows, R], -infinity behind the last; empty: unknown
};

/// The best items of each user by the inner products of vectors of one width, without the observed
/// ones. Some vectors may be missing: users without one get an empty list, items without one are in
/// no list.
/// @param observed rows of the users, in device memory
/// @param user what messages call a user, where users and items have changed places
/// @throws Error naming the first user with a score that is not finite.
HostLists best_lists(const TeacherVectors& vectors, SparseRows observed, int64_t length,
                     const char* user, const Stream& stream);

/// The heads of lists.
HostLists padded(const RankingLists& lists, int64_t length);

/// The lists of users in whose list an item is: by score falling, or where scores are unknown by
/// rank rising; then by user.
RankingLists transposed(const RankingLists& lists, int64_t items);

}  // namespace derrd
