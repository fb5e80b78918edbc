#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Most items that sample_uninteresting draws for a user: a tile keeps them in shared memory.
constexpr int64_t kMaxUninteresting = 512;

/// Draws items for every user of a list, each uniform over those that the user has not observed.
/// @param negatives [n N], overwritten; N neighbours belong to one element of `users`
/// @param users [n]. A user who has observed every item must not occur: there is nothing to draw.
/// @param observed [U] rows of items below `items`, ascending and distinct
/// @throws std::invalid_argument if shapes do not fit.
void sample_negatives(Vector<int32_t> negatives, Vector<const int32_t> users, SparseRows observed,
                      int64_t items, RandomKey key, const Stream& stream);

/// Draws L distinct items for every user: a uniformly random subset of those that are not excluded
/// (RRD's uninteresting items), in no meaningful order. Where L or fewer are left: all of them,
/// ascending, then -1.
/// @param samples [U, first_column + L]: columns from first_column on are overwritten
/// @param excluded [U] rows of items below `items`, ascending and distinct
/// @throws std::invalid_argument if shapes do not fit or L is over kMaxUninteresting.
void sample_uninteresting(Matrix<int32_t> samples, int64_t first_column, SparseRows excluded,
                          int64_t items, RandomKey key, const Stream& stream);

}  // namespace derrd
