#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "engine/models/scorer.h"
#include "engine/teacher_data.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Ranking lists on the host, all padded to one length.
struct HostLists {
  std::vector<int32_t> items;  ///< [rows, R] best first, -1 behind the last
  std::vector<float> scores;   ///< [rows, R], -infinity behind the last; empty: unknown
};

/// The items of each user, or the users of each item, in each other's rows: column u of row i
/// becomes column i of row u.
InteractionRows transposed(const InteractionRows& rows, int64_t cols);

/// The best items of each user by a scorer, without the observed ones.
/// @throws Error naming the first user with a score that is not finite.
HostLists best_lists(const Scorer& scorer, const InteractionRows& observed, int64_t length,
                     const Stream& stream);

/// The same by the inner products of vectors of one width, of which some may be missing: users
/// without one get an empty list, items without one are in no list.
HostLists best_lists(const TeacherVectors& vectors, const InteractionRows& observed, int64_t length,
                     const Stream& stream);

/// The heads of lists.
HostLists padded(const RankingLists& lists, int64_t length);

/// The lists of users in whose list an item is: by score falling, or where scores are unknown by
/// rank rising; then by user.
RankingLists transposed(const RankingLists& lists, int64_t items);

}  // namespace derrd
