#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Memory that find_slot_rows writes, for a table of R rows.
struct SlotRows {
  Vector<int32_t> rows;          ///< [R] the first batch->count are set, ascending
  BatchCursor* batch = nullptr;  ///< device memory: the anchors' batch number, 0, number of rows
  Vector<int32_t> positions;     ///< [R + 1] scratch
  Vector<uint8_t> scratch;       ///< [exclusive_sum_scratch_bytes(R + 1)] at least
};

/// Finds the distinct rows that the slots of the batch's anchors hold: `rows` and `batch` of a
/// RowSegments for them. It neither sorts nor waits, so a training step may call it.
/// @param anchors the distinct anchors of the batch
/// @param index inverse of all anchors' samples, with positions in `anchors`
/// @param slots S, columns of the samples
/// @throws std::invalid_argument if the shapes do not fit.
void find_slot_rows(SlotRows out, RowSegments anchors, SlotIndex index, int64_t slots,
                    const Stream& stream);

}  // namespace derrd
