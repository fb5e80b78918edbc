#pragma once

// Walks over the slots of a ranking loss that contribute to a row's gradient: those of an anchor,
// or those of the batch that hold a row of the other table. They are collected in shared memory in
// their order, kChunk at a time, and handed on together, so that the caller can fetch several rows
// at once. Only .cu files include it.

#include <cstdint>

#include "kernels/common/tile_part.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/execution.h"

namespace derrd {

constexpr int64_t kChunk = 128;  // a multiple of the lanes
/// The slots that a tile has collected; of a `SharedArray<uint32_t, kBlockTiles * kChunk>`.
using Contributions = TilePart<uint32_t, kBlockTiles * kChunk>;

/// Compacts: appends the slots of the lanes that contribute, in the order of lanes, behind `count`;
/// gives the new count. The other lanes write behind them, where the next slots will stand: every
/// lane writes, which spares the CPU a branch that it could not predict.
__device__ __forceinline__ int64_t compact(const WarpTile& tile, Contributions slots, int64_t count,
                                           bool contributes, uint32_t slot) {
  const int ahead = cg::exclusive_scan(tile, contributes ? 1 : 0);
  const int all = cg::reduce(tile, contributes ? 1 : 0, cg::plus<int>());
  const int64_t rank = tile.thread_rank();
  slots[count + (contributes ? ahead : all + rank - ahead)] = slot;
  tile.sync();
  return count + all;
}

/// Collects the numbers of the slots that are not empty; calls use(how many) for every chunk.
template <class Use>
__device__ __forceinline__ void walk_slots(const WarpTile& tile, Contributions collected,
                                           const int32_t* __restrict__ samples, int64_t slots,
                                           Use&& use) {
  for (int64_t chunk = 0; chunk < slots; chunk += kChunk) {
    const int64_t end = slots < chunk + kChunk ? slots : chunk + kChunk;
    int64_t count = 0;
    for (int64_t base = chunk; base < end; base += tile.size()) {
      const int64_t slot = base + tile.thread_rank();
      const bool present = slot < end && samples[slot] >= 0;
      count = compact(tile, collected, count, present, static_cast<uint32_t>(slot));
    }
    use(count);
    tile.sync();  // before the next slots
  }
}

/// The occurrences of the other table's rows, and which of them are the batch's. A view.
struct BatchOccurrences {
  SlotIndex index;
  SlotCode code;
  int64_t begin;   ///< of the batch's anchors
  uint64_t count;  ///< of them

  /// Position of an occurrence's anchor among the batch's anchors. An anchor outside the batch
  /// stands at -1, which is no position either as an unsigned number.
  __device__ uint64_t position(uint32_t occurrence) const {
    return static_cast<uint64_t>(index.position[code.anchor(occurrence)] - begin);
  }
};
__device__ __forceinline__ BatchOccurrences batch_occurrences(SlotIndex index, SlotCode code,
                                                              RowSegments anchors) {
  const BatchCursor batch = *anchors.batch;
  return {index, code, batch.begin, static_cast<uint64_t>(batch.count)};
}

/// Collects the occurrences of a row of the other table in the batch; calls use(how many) for every
/// chunk of its occurrences.
template <class Use>
__device__ __forceinline__ void walk_occurrences(const WarpTile& tile, Contributions collected,
                                                 const BatchOccurrences& occurrences, int64_t row,
                                                 Use&& use) {
  const SlotIndex& index = occurrences.index;
  const int64_t last = index.offsets[row + 1];
  for (int64_t chunk = index.offsets[row]; chunk < last; chunk += kChunk) {
    const int64_t end = last < chunk + kChunk ? last : chunk + kChunk;
    int64_t count = 0;
    for (int64_t base = chunk; base < end; base += tile.size()) {
      const int64_t i = base + tile.thread_rank();
      const uint32_t occurrence = i < end ? index.occurrences[i] : 0;
      const bool in_batch = (i < end) & (occurrences.position(occurrence) < occurrences.count);
      count = compact(tile, collected, count, in_batch, occurrence);
    }
    use(count);
    tile.sync();  // before the next slots
  }
}

}  // namespace derrd
