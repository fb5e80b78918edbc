// Order and inverse of an epoch's samples, by sorts.
//
//   order     key(u, s) = falling score, ordered as an integer      within each user
//   inverse   key(u, s) = item, value = (u, s)                      over all users, stable
//             offsets[r] = number of keys below r                   a binary search each
//
// Shapes: samples and scores [U, S]. Mapping: a thread a slot or a row; a tile a user where the
// code of (u, s) is packed. Bytes: 12 written per slot; the sorts are the larger part.
//
// Trap: an empty slot must sort behind every item, also where only 32 bits of the key are sorted.

#include "kernels/epoch/slot_index.h"

#include <stdexcept>
#include <string>

#include "kernels/common/ordered_bits.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void slot_order_keys_kernel(SortBuffers out, Vector<const int32_t> samples,
                                       Vector<const float> scores) {
  for (const int64_t i : units_of(SingleThread{}, samples.size)) {
    // Falling: all bits inverted. Empty slots stand behind 32-bit keys.
    out.keys[i] = samples[i] >= 0 ? ~ordered_bits(scores[i]) : ~uint64_t{0};
    out.values[i] = static_cast<uint32_t>(samples[i]);
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

void check_pairs(const char* operation, SortBuffers out, int64_t pairs) {
  require_size(operation, "keys", out.keys, pairs);
  require_size(operation, "values", out.values, pairs);
}

}  // namespace

void slot_order_keys(SortBuffers out, Matrix<const int32_t> samples, Matrix<const float> scores,
                     const Stream& stream) {
  check_pairs("slot_order_keys", out, samples.size());
  require_shape("slot_order_keys", "scores", scores, samples.rows, samples.cols);
  if (samples.size() == 0) return;
  launch("slot_order_keys", threads_for(samples.size()), stream, slot_order_keys_kernel, out,
         samples.flat(), scores.flat());
}

void ranking_occurrence_keys(SortBuffers out, Matrix<const int32_t> samples, const Stream& stream) {
  check_pairs("ranking_occurrence_keys", out, samples.size());
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
