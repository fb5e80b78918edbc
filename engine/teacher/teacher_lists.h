#pragma once

#include <cstdint>
#include <span>
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

/// Vectors of a teacher's users or items, in device memory. A view.
struct PartialVectors {
  Matrix<const float> rows;      ///< [n, T]
  std::span<const uint8_t> has;  ///< [n] in host memory: whether the teacher has the vector
};

/// Lists the best items of each user by the inner products of their vectors, which have one width,
/// without the observed ones. Users without a vector get an empty list, items without one are in no
/// list.
/// @param observed rows of the users, in device memory
/// @param row_name what messages call a user; "item" where the rows are items
/// @throws Error naming the first user with a score that is not finite.
HostLists best_lists(const PartialVectors& user, const PartialVectors& item, SparseRows observed,
                     int64_t length, const char* row_name, const Stream& stream);

/// Cuts or pads each list to `length` entries.
HostLists padded(const RankingLists& lists, int64_t length);

/// Lists, for each item, the users in whose list it is: by score falling, or by rank rising where
/// scores are unknown; then by user.
RankingLists transposed(const RankingLists& lists, int64_t items);

}  // namespace derrd
