#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Memory that find_slot_rows writes, for a table of R rows.
struct SlotRows {
  Vector<int32_t> rows;          ///< [R] of which the first batch->count are set, ascending
  BatchCursor* batch = nullptr;  ///< device memory: the anchors' batch number, 0, how many
  Vector<int32_t> places;        ///< [R + 1] scratch
  Vector<uint8_t> scratch;       ///< [exclusive_sum_scratch_bytes(R + 1)] at least
};

/// Finds the distinct rows that the slots of the batch's anchors hold: `rows` and `batch` of a
/// RowSegments for them. A step may do so: it neither sorts nor waits.
/// @param anchors the distinct anchors of the batch
/// @param index of all anchors' samples; its positions are those of `anchors`
/// @param slots S, columns of the samples
/// @throws std::invalid_argument if the shapes do not fit.
void find_slot_rows(SlotRows out, RowSegments anchors, SlotIndex index, int64_t slots,
                    const Stream& stream);

}  // namespace derrd
