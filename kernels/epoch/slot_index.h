#pragma once

#include <cstdint>

#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

// The order and the inverse of an epoch's samples [U, S], where slot s of user u holds an item, or
// -1 if it is empty.
//   order (ablation (d) of Table 4): slot_order_keys, sort_segments with the samples as values
//   inverse, for the gradient of items: ranking_occurrence_keys, sort by 32 bits, row_offsets

/// Sort keys by which sort_segments puts each user's slots in the order of falling scores, ties as
/// they stand, empty slots last.
/// @param keys [U * S], overwritten
/// @param samples [U, S], @param scores [U, S]
/// @throws std::invalid_argument if shapes do not fit.
void slot_order_keys(Vector<uint64_t> keys, Matrix<const int32_t> samples,
                     Matrix<const float> scores, const Stream& stream);

/// Key of an empty slot, behind every item in a sort by 32 bits.
constexpr uint64_t kNoItemKey = 0xFFFFFFFFu;

/// Sort keys whose stable sort by 32 bits inverts `samples` [U, K + L].
/// @param out [U * (K + L)] key: the item, kNoItemKey for an empty slot; value: slot_code(K + L)
///   of user and slot. Overwritten.
/// @throws std::invalid_argument if shapes do not fit or there are too many pairs for 32 bits.
void ranking_occurrence_keys(SortBuffers out, Matrix<const int32_t> samples, const Stream& stream);

/// Counts the keys below each row.
/// @param offsets [rows + 1]: row r's elements are
///   offsets[r] .. offsets[r + 1]. Overwritten.
/// @param sorted_keys ascending
/// @throws std::invalid_argument if there are more keys than offsets can count.
void row_offsets(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys, const Stream& stream);

}  // namespace derrd
