// Order and inverse of an epoch's samples, by sorts.
//
//   order     key(u, s) = (u, falling score, ordered as an integer)
//   inverse   key(u, s) = item, value = (u, s)                      over all users, stable
//             offsets[r] = number of keys below r                   a binary search each
//
// Shapes: samples and scores [U, S]. Mapping: a tile a user, a thread a row's offset. Bytes: 8 or
// 12 written per slot; the sorts are the larger part.
//
// Trap: an empty slot must sort behind every item by 32 bits of the key.

#include "kernels/epoch/slot_index.h"

#include <stdexcept>
#include <string>

#include "kernels/common/ordered_bits.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr uint32_t kEmpty = ~0u;

__global__ void slot_order_keys_kernel(Vector<uint64_t> keys, Matrix<const int32_t> samples,
                                       Matrix<const float> scores) {
  const WarpTile tile = warp_tile();
  const int64_t slots = samples.cols;
  for (const int64_t user : units_of(tile, samples.rows)) {
    const int32_t* __restrict__ row = samples.row(user);
    const float* __restrict__ score = scores.row(user);
    uint64_t* __restrict__ out = keys.data + user * slots;
    for (int64_t slot = tile.thread_rank(); slot < slots; slot += tile.size()) {
      const uint32_t falling = ~ordered_bits(score[slot]);
      // One NaN has the highest number too.
      const uint32_t present = falling < kEmpty ? falling : kEmpty - 1;
      out[slot] = segment_key(user, row[slot] >= 0 ? present : kEmpty);
    }
  }
}

__global__ void ranking_occurrence_keys_kernel(SortBuffers out, Matrix<const int32_t> samples,
                                               SlotCode code) {
  const WarpTile tile = warp_tile();
  const int64_t slots = samples.cols;
  for (const int64_t user : units_of(tile, samples.rows)) {
    const int32_t* __restrict__ row = samples.row(user);
    uint64_t* __restrict__ keys = out.keys.data + user * slots;
    uint32_t* __restrict__ values = out.values.data + user * slots;
    for (int64_t slot = tile.thread_rank(); slot < slots; slot += tile.size()) {
      keys[slot] = row[slot] >= 0 ? static_cast<uint64_t>(row[slot]) : kNoItemKey;
      values[slot] = code.pack(user, slot);
    }
  }
}

__global__ void row_offsets_kernel(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys) {
  for (const int64_t row : units_of(SingleThread{}, offsets.size)) {
    int64_t low = 0;
    int64_t high = sorted_keys.size;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (sorted_keys[middle] < static_cast<uint64_t>(row)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    offsets[row] = static_cast<int32_t>(low);
  }
}

}  // namespace

void slot_order_keys(Vector<uint64_t> keys, Matrix<const int32_t> samples,
                     Matrix<const float> scores, const Stream& stream) {
  require_size("slot_order_keys", "keys", keys, samples.size());
  require_shape("slot_order_keys", "scores", scores, samples.rows, samples.cols);
  if (samples.size() == 0) return;
  launch("slot_order_keys", tiles_for(samples.rows, samples.cols), stream, slot_order_keys_kernel,
         keys, samples, scores);
}

void ranking_occurrence_keys(SortBuffers out, Matrix<const int32_t> samples, const Stream& stream) {
  require_size("ranking_occurrence_keys", "keys", out.keys, samples.size());
  require_size("ranking_occurrence_keys", "values", out.values, samples.size());
  if (!slot_code_fits(samples.rows, samples.cols)) {
    throw std::invalid_argument("ranking_occurrence_keys: " + std::to_string(samples.rows) +
                                " users with " + std::to_string(samples.cols) +
                                " slots do not fit into 32 bits");
  }
  if (samples.size() == 0) return;
  launch("ranking_occurrence_keys", tiles_for(samples.rows, samples.cols), stream,
         ranking_occurrence_keys_kernel, out, samples, slot_code(samples.cols));
}

void row_offsets(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys,
                 const Stream& stream) {
  if (sorted_keys.size > INT32_MAX) {
    throw std::invalid_argument("row_offsets: " + std::to_string(sorted_keys.size) +
                                " keys are too many for 32-bit offsets");
  }
  if (offsets.size == 0) return;
  constexpr int64_t kSearch = 64;
  launch("row_offsets", threads_for(offsets.size, kSearch), stream, row_offsets_kernel, offsets,
         sorted_keys);
}

}  // namespace derrd
