#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

// RRD's interesting items of an epoch (DE-RRD, section 4.2.1). The teacher's lists [U, R] hold each
// user's best unobserved items, best first, and are padded at the end with -1.
//
//   interesting_keys(pairs, lists, t, key, stream);
//   sort_segments(pairs, kSegmentValueBits, scratch, stream);
//   interesting_items(samples, lowest, lists, pairs.values, k, stream);   // fills columns 0..K-1
//   exclusion_sizes(...), sample_uninteresting(...)                        // the other L columns
//
// Without sampling, top_items takes the place of these three. Collaborative Distillation, which
// needs the teacher's scores beside the items, calls interesting_positions and gather_at.

/// Sort keys by which sort_segments puts each list into random order: without replacement, the
/// k-th item (k = 1..R) with weight exp(-k / t) each time. The first K then are RRD's interesting
/// items.
/// @param out [U * R]: segment_key of the user and a number that rises as log-weight plus Gumbel
///   noise falls; padding last. The value is the position in the list, 0..R-1. Overwritten.
/// @throws std::invalid_argument if shapes do not fit or t is not positive.
void interesting_keys(SortBuffers out, Matrix<const int32_t> lists, float t, RandomKey key,
                      const Stream& stream);

/// Takes the first K of each sorted segment and puts them back into the order of the list.
/// @param samples [U, K + L]: columns 0..K-1 are overwritten, padded with -1 where a list is
///   shorter than K
/// @param lowest [U] 1 + position of the lowest item taken, 0 if none: the length of the prefix
///   that the paper's variant excludes from the uninteresting items. Overwritten.
/// @param sorted_positions [U * R] values of the sorted interesting_keys
/// @throws std::invalid_argument if shapes do not fit.
void interesting_items(Matrix<int32_t> samples, Vector<int32_t> lowest, Matrix<const int32_t> lists,
                       Vector<const uint32_t> sorted_positions, int64_t k, const Stream& stream);

/// Finds the positions in the lists of the items that interesting_items takes, ascending.
/// @param positions [U, K] 0..R-1, padded with -1 where a list is shorter than K. Overwritten.
/// @throws std::invalid_argument if shapes do not fit.
void interesting_positions(Matrix<int32_t> positions, Matrix<const int32_t> lists,
                           Vector<const uint32_t> sorted_positions, const Stream& stream);

/// Gathers items, or the scores beside them: out[u, k] = lists[u, positions[u, k]], or `absent`
/// where the position is -1.
/// @param out [U, K], overwritten
/// @param lists [U, R]
/// @param positions [U, K] each below R
/// @throws std::invalid_argument if shapes do not fit.
void gather_at(Matrix<int32_t> out, Matrix<const int32_t> lists, Matrix<const int32_t> positions,
               int32_t absent, const Stream& stream);
void gather_at(Matrix<float> out, Matrix<const float> lists, Matrix<const int32_t> positions,
               float absent, const Stream& stream);

/// Takes the first K of each list, without sampling; the arguments are those of interesting_items.
void top_items(Matrix<int32_t> samples, Vector<int32_t> lowest, Matrix<const int32_t> lists,
               int64_t k, const Stream& stream);

}  // namespace derrd
