// The distinct rows in the slots of a batch's anchors: IR-RRD takes the items' side of the loss for
// each item that was sampled for one of the batch's users.
//
//   held(r)     = some slot that holds r belongs to an anchor of the batch
//   position(r) = sum of held(r') over r' < r             rows[position(r)] = r where held(r)
//
// The inverse of the samples exists already, for the gradients: a row's tile walks the slots that
// hold it and stops at the first one with an anchor in the batch. So rows come out ascending,
// without a sort and without atomics.
//
// Shapes: A anchors of S slots, R rows. Threads: a tile per row, then, for the positions, one per
// row. Bytes: at most 8 A S for the walk, in practice a fraction: rows with many occurrences stop
// early; 20 R for the flags, their sum and the rows.
//
// Trap: anchors that mark their rows would race; harmless on the device, but undefined.

#include "kernels/distill/slot_rows.h"

#include "kernels/common/shapes.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/sort.h"

namespace derrd {

namespace {

__global__ void slot_rows_flags_kernel(Vector<int32_t> flags, RowSegments anchors, SlotIndex index,
                                       SlotCode code) {
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const int64_t rows = index.offsets.size - 1;
  const BatchOccurrences occurrences = batch_occurrences(index, code, anchors);
  for (const int64_t row : units_of(tile, flags.size)) {
    const int64_t first = row < rows ? index.offsets[row] : 0;
    const int64_t last = row < rows ? index.offsets[row + 1] : 0;
    bool held = false;
    for (int64_t base = first; base < last && !held; base += lanes) {
      const int64_t i = base + lane;
      const bool mine = i < last && occurrences.in_batch(index.occurrences[i]);
      held = tile.any(mine);
    }
    if (lane == 0) flags[row] = held ? 1 : 0;
  }
}

__global__ void slot_rows_kernel(Vector<int32_t> rows, BatchCursor* batch,
                                 Vector<const int32_t> positions, const BatchCursor* anchors) {
  for (const int64_t row : units_of(SingleThread{}, positions.size)) {
    if (row == rows.size) {
      *batch = {anchors->number, 0, positions[row]};
    } else if (positions[row + 1] > positions[row]) {
      rows[positions[row]] = static_cast<int32_t>(row);
    }
  }
}

}  // namespace

void find_slot_rows(SlotRows out, RowSegments anchors, SlotIndex index, int64_t slots,
                    const Stream& stream) {
  constexpr const char* kName = "find_slot_rows";
  const int64_t rows = out.rows.size;
  require_size(kName, "positions", out.positions, rows + 1);
  require_size(kName, "offsets", index.offsets, rows + 1);
  require_size(kName, "occurrences", index.occurrences, index.position.size * slots);
  const int64_t walked = index.occurrences.size / (rows + 1) + 1;
  launch("slot_rows_flags", tiles_for(rows + 1, walked), stream, slot_rows_flags_kernel,
         out.positions, anchors, index, slot_code(slots));
  exclusive_sum(out.positions, Vector<const int32_t>(out.positions), out.scratch, stream);
  launch(kName, threads_for(rows + 1), stream, slot_rows_kernel, out.rows, out.batch,
         Vector<const int32_t>(out.positions), anchors.batch);
}

}  // namespace derrd
