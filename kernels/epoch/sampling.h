#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

// Relaxed Ranking Distillation's samples of an epoch. The teacher's lists [U, R] hold each user's
// best unobserved items, best first, and are padded at the end with -1.
//
//   interesting items:    interesting_keys, segmented sort by user, interesting_items
//   or without sampling:  top_items
//   where in the lists:   interesting_positions, gather_at (Collaborative Distillation)
//   what the uninteresting items are not drawn from:
//                         exclusion_sizes, exclusive_sum, exclusion_keys, segmented sort by user
//   (the draws themselves: sample_uninteresting in kernels/epoch/negatives.h)
//   all slots in the teacher's order (ablation (d)):
//                         slot_order_keys, segmented sort by user into the samples themselves
//   the inverse, for the gradient of items:
//                         ranking_occurrence_keys, sort by 32 bits, row_offsets

/// Sort keys by which a segmented sort puts each list into random order: without replacement, the
/// k-th item (k = 1..R) with weight exp(-k / t) each time. The first K then are RRD's interesting
/// items.
/// @param out [U * R]: ascending key = falling log-weight plus Gumbel noise; padding last. The
///   value is the position in the list, 0..R-1. Overwritten.
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

/// Where the items that interesting_items takes stand in their lists, ascending.
/// @param positions [U, K] 0..R-1, padded with -1 where a list is shorter than K. Overwritten.
/// @throws std::invalid_argument if shapes do not fit.
void interesting_positions(Matrix<int32_t> positions, Matrix<const int32_t> lists,
                           Vector<const uint32_t> sorted_positions, const Stream& stream);

/// out[u, k] = lists[u, positions[u, k]], where that is -1 the given `absent`: items of lists, or
/// what stands beside them.
/// @param out [U, K], overwritten
/// @param lists [U, R]
/// @param positions [U, K] each below R
/// @throws std::invalid_argument if shapes do not fit.
void gather_at(Matrix<int32_t> out, Matrix<const int32_t> lists, Matrix<const int32_t> positions,
               int32_t absent, const Stream& stream);
void gather_at(Matrix<float> out, Matrix<const float> lists, Matrix<const int32_t> positions,
               float absent, const Stream& stream);

/// The first K of each list; otherwise as interesting_items.
void top_items(Matrix<int32_t> samples, Vector<int32_t> lowest, Matrix<const int32_t> lists,
               int64_t k, const Stream& stream);

/// @param lengths [U] number of items in each list before its padding. Overwritten.
void list_lengths(Vector<int32_t> lengths, Matrix<const int32_t> lists, const Stream& stream);

/// @param sizes [U + 1] observed items plus list_lengths[u], then a zero: exclusive_sum (in place)
///   makes it the offsets that exclusion_keys takes. Overwritten.
void exclusion_sizes(Vector<int64_t> sizes, SparseRows observed, Vector<const int32_t> list_lengths,
                     const Stream& stream);

/// The items that a user's uninteresting ones are not drawn from: the observed ones and a prefix of
/// the list (all of it in the authors' program; down to the lowest interesting item in the paper).
/// A segmented sort by `offsets` then leaves, in the values, the ascending rows of a SparseRows.
/// Lists hold no observed items.
/// @param out keys and values: the item. Overwritten up to offsets[U]; it may be larger.
/// @param offsets [U + 1] as exclusion_sizes and exclusive_sum make them
/// @param list_lengths [U] length of the prefix to exclude, at most R
void exclusion_keys(SortBuffers out, Vector<const int64_t> offsets, SparseRows observed,
                    Matrix<const int32_t> lists, Vector<const int32_t> list_lengths,
                    const Stream& stream);

/// Sort keys by which a segmented sort puts each user's slots in the order of falling scores, ties
/// as they stand, empty slots last.
/// @param out [U * S] value: the slot's item, -1 for an empty one. Overwritten.
/// @param samples [U, S], @param scores [U, S]
/// @throws std::invalid_argument if shapes do not fit.
void slot_order_keys(SortBuffers out, Matrix<const int32_t> samples, Matrix<const float> scores,
                     const Stream& stream);

/// Key of an empty slot: behind every item in a sort by 32 bits.
constexpr uint64_t kNoItemKey = 0xFFFFFFFFu;

/// Sort keys whose stable sort by 32 bits inverts `samples` [U, K + L].
/// @param out [U * (K + L)] key: the item, kNoItemKey for an empty slot; value: slot_code(K + L)
///   of user and slot. Overwritten.
/// @throws std::invalid_argument if shapes do not fit or there are too many pairs for 32 bits.
void ranking_occurrence_keys(SortBuffers out, Matrix<const int32_t> samples, const Stream& stream);

/// @param offsets [rows + 1] number of keys below each row: row r's elements are
///   offsets[r] .. offsets[r + 1]. Overwritten.
/// @param sorted_keys ascending
void row_offsets(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys, const Stream& stream);

}  // namespace derrd
