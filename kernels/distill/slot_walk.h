#pragma once

// Code that the kernels over a ranking loss's slots share: checks of shapes, an anchor's share of
// the loss, and walks over the slots that contribute to a row's gradient, which are an anchor's
// slots or the batch's slots that hold a row of the other table. They are collected in shared
// memory in their order, kChunk at a time, and handed on together, so that the caller can fetch
// several rows at once. Only .cu files include it.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/common/shapes.h"
#include "kernels/common/shared_rows.h"
#include "kernels/common/tile_part.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/epoch/ranking_slots.h"
#include "kernels/platform/execution.h"

namespace derrd {

constexpr int64_t kChunk = 128;  // a multiple of the lanes
/// Slots that a tile has collected: its part of a `SharedArray<uint32_t, kBlockTiles * kChunk>`.
using Contributions = TilePart<uint32_t, kBlockTiles * kChunk>;

/// Appends the slots of the lanes that contribute, in the order of lanes, behind the first `count`;
/// returns the new count. The other lanes write behind them, where the next slots will stand: every
/// lane writes, which spares the CPU a branch that it could not predict.
__device__ __forceinline__ int64_t compact(const WarpTile& tile, Contributions slots, int64_t count,
                                           bool contributes, uint32_t slot) {
  const unsigned contributing = tile.ballot(contributes);
  const unsigned rank = tile.thread_rank();
  const int64_t ahead = count_bits(contributing & ((1u << rank) - 1));
  const int64_t all = count_bits(contributing);
  slots[count + (contributes ? ahead : all + rank - ahead)] = slot;
  tile.sync();
  return count + all;
}

/// Collects the numbers of the slots that are not empty; calls use(count) for every chunk.
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

/// Occurrences of the other table's rows in the slots of all anchors, and where the batch's anchors
/// lie. A view.
struct BatchOccurrences {
  SlotIndex index;
  SlotCode code;
  int32_t begin;   ///< index.position of the batch's first anchor
  uint32_t count;  ///< number of the batch's anchors

  /// Number of an occurrence's anchor among the batch's anchors; `count` or more if the batch does
  /// not have it.
  __device__ uint32_t position(uint32_t occurrence) const {
    return static_cast<uint32_t>(index.position[code.anchor(occurrence)] - begin);
  }
  __device__ bool in_batch(uint32_t occurrence) const { return position(occurrence) < count; }
};
__device__ __forceinline__ BatchOccurrences batch_occurrences(SlotIndex index, SlotCode code,
                                                              RowSegments anchors) {
  const BatchCursor batch = *anchors.batch;
  return {index, code, batch.begin + 1, static_cast<uint32_t>(batch.count)};
}

/// Collects those of the occurrences begin .. last - 1 that the batch has; calls use(count) for
/// every chunk of them.
template <class Use>
__device__ __forceinline__ void walk_occurrences(const WarpTile& tile, Contributions collected,
                                                 const BatchOccurrences& occurrences, int64_t begin,
                                                 int64_t last, Use&& use) {
  for (int64_t chunk = begin; chunk < last; chunk += kChunk) {
    const int64_t end = last < chunk + kChunk ? last : chunk + kChunk;
    int64_t count = 0;
    for (int64_t base = chunk; base < end; base += tile.size()) {
      const int64_t i = base + tile.thread_rank();
      const uint32_t occurrence = i < end ? occurrences.index.occurrences[i] : 0;
      const bool in_batch = (i < end) & occurrences.in_batch(occurrence);
      count = compact(tile, collected, count, in_batch, occurrence);
    }
    use(count);
    tile.sync();  // before the next slots
  }
}

/// Occurrences from which on the tiles of a block share a row.
constexpr int kSharedOccurrences = 512;
/// Columns that a row may have for that.
constexpr int64_t kSharedColumns = 256;
/// Sums of a block's tiles, a row for each.
using SharedRowSums = SharedArray<float, kBlockTiles * kSharedColumns>;

/// Parameter type of a sum that add_occurrences hands on. Memory has no other name meanwhile, which
/// a CPU's compiler has to know.
template <class Sum>
using SumParameter = std::conditional_t<std::is_pointer_v<Sum>, float* __restrict__, Sum>;

/// Blocks' work units for the other table's rows, one for each tile.
DERRD_HOST_DEVICE inline int other_groups(int64_t rows) { return row_groups<1>(rows); }
/// The rows of one of them.
__device__ __forceinline__ BlockRows<1> other_rows(int64_t rows, int64_t group) {
  return {0, static_cast<int>(rows), static_cast<int>(group)};
}

/// Adds to a block's rows of the other table, other_rows, what their occurrences contribute; the
/// tiles of a block share a row that many slots hold. Called by all of the block.
/// @param add add(sum, begin, end) adds the contributions of occurrences begin .. end - 1 to
/// sum[k],
///   for the columns k of each lane; `sum` is a row of `sums` or a tile's part of `shared`
template <class Add>
__device__ __forceinline__ void add_occurrences(const cg::thread_block& block,
                                                SharedRowSums& shared, Matrix<float> sums,
                                                const SlotIndex& index, int64_t group, Add&& add) {
  const WarpTile tile = warp_tile();
  const auto own = [&](int row, int begin, int end) { add(sums.row(row), begin, end); };
  const auto part = [&](int, int begin, int end) {
    const auto sum = part_of(tile, shared);
    for (int64_t k = tile.thread_rank(); k < sums.cols; k += tile.size()) sum[k] = 0.0f;
    add(sum, begin, end);
  };
  const auto finish = [&](int row) {
    float* __restrict__ out = sums.row(row);
    for (int64_t k = tile.thread_rank(); k < sums.cols; k += tile.size()) {
      float total = out[k];
      for (int64_t t = 0; t < kBlockTiles; ++t) total += shared[t * kSharedColumns + k];
      out[k] = total;
    }
  };
  constexpr int kNever = INT32_MAX;
  share_rows(block, index.offsets, other_rows(sums.rows, group),
             sums.cols <= kSharedColumns ? kSharedOccurrences : kNever, own, part, finish);
}

/// Weight of an anchor's loss in the batch's.
__device__ __forceinline__ float anchor_share(AnchorReduction reduction, int64_t anchors) {
  return reduction == AnchorReduction::kMean && anchors > 0 ? 1.0f / static_cast<float>(anchors)
                                                            : 1.0f;
}

/// @throws std::invalid_argument if the arrays of a loss on scores do not fit the batch.
inline void require_scores(const char* operation, Vector<float> loss, Matrix<float> grad_score,
                           Matrix<const float> score, const SlotBatch& batch) {
  const int64_t anchors = batch.anchors.capacity;
  require_size(operation, "loss", loss, anchors);
  require_shape(operation, "score", score, anchors, batch.samples.cols);
  require_shape(operation, "grad_score", grad_score, anchors, batch.samples.cols);
}

/// @throws std::invalid_argument if `index` does not fit, or anchors and slots exceed 32 bits.
inline void require_index(const char* operation, const SlotIndex& index, int64_t others,
                          Matrix<const int32_t> samples) {
  require_size(operation, "index.offsets", index.offsets, others + 1);
  require_size(operation, "index.occurrences", index.occurrences, samples.size());
  require_size(operation, "index.position", index.position, samples.rows);
  if (!slot_code_fits(samples.rows, samples.cols)) {
    throw std::invalid_argument(std::string(operation) + ": " + std::to_string(samples.rows) +
                                " anchors with " + std::to_string(samples.cols) +
                                " slots do not fit into 32 bits");
  }
}

}  // namespace derrd
