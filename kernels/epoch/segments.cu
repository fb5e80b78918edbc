// The distinct rows of every batch of an epoch, each with its samples in order: the plan by which
// gradients are reduced without atomics and which DE and RRD read as "the users and items of the
// batch".
//
//   key(i) = batch of sample i, row of sample i      as one integer: batch << row_bits | row
//   stable sort of (key, i)                          -> occurrences, ascending within a row
//   head(i) = [key(i) != key(i - 1)]                 -> exclusive sum = number of the row's segment
//   at a head: rows[segment] = row, offsets[segment] = i; at a batch's first: batch_offsets[batch]
//
// Shapes: n samples, at most n segments, ceil(n / batch_size) batches.
// Threads: one per sample.
//
// Bytes: the sort's passes over 12 n bytes dominate; the three kernels move about 50 n bytes once
// and should run at copy speed. Keys are as narrow as batches and rows allow: up to 32 bits, which
// is the rule, the sort takes half its passes.
//
// Trap: an epoch's last batch may be partial, but none is empty, so every batch has a head.

#include "kernels/epoch/segments.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/shapes.h"
#include "kernels/epoch/next_batch.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

int64_t number_of_batches(int64_t n, int64_t batch_size) {
  return (n + batch_size - 1) / batch_size;
}

/// Bits of the numbers 0 .. count - 1.
int bits_for(int64_t count) {
  return static_cast<int>(std::bit_width(static_cast<uint64_t>(count - 1)));
}

__global__ void segment_keys_kernel(SortBuffers out, Vector<const int32_t> row_of_sample,
                                    int64_t batch_size, int row_bits) {
  for (const int64_t i : units_of(SingleThread{}, row_of_sample.size)) {
    const uint64_t batch = static_cast<uint64_t>(i / batch_size);
    out.keys[i] = batch << row_bits | static_cast<uint32_t>(row_of_sample[i]);
    out.values[i] = static_cast<uint32_t>(i);
  }
}

__device__ __forceinline__ bool is_head(Vector<const uint64_t> keys, int64_t i) {
  return i == 0 || keys[i] != keys[i - 1];
}

__global__ void segment_heads_kernel(Vector<int32_t> heads, Vector<const uint64_t> keys) {
  for (const int64_t i : units_of(SingleThread{}, keys.size)) heads[i] = is_head(keys, i) ? 1 : 0;
}

/// `heads` holds its exclusive sum by now.
__global__ void segment_rows_kernel(SegmentBuffers out, int row_bits) {
  const Vector<const uint64_t> keys = out.sorted.keys;
  const uint64_t row_mask = (uint64_t{1} << row_bits) - 1;
  for (const int64_t i : units_of(SingleThread{}, keys.size)) {
    const uint64_t key = keys[i];
    const int32_t segment = out.heads[i];
    out.occurrences[i] = static_cast<int32_t>(out.sorted.values[i]);
    if (is_head(keys, i)) {
      out.rows[segment] = static_cast<int32_t>(key & row_mask);
      out.offsets[segment] = static_cast<int32_t>(i);
      const uint64_t batch = key >> row_bits;
      if (i == 0 || keys[i - 1] >> row_bits != batch) {
        out.batch_offsets[static_cast<int64_t>(batch)] = segment;
      }
    }
    if (i == keys.size - 1) {
      const int32_t segments = segment + (is_head(keys, i) ? 1 : 0);
      out.offsets[segments] = static_cast<int32_t>(keys.size);
      out.batch_offsets[out.batch_offsets.size - 1] = segments;
    }
  }
}

__global__ void advance_batch_kernel(BatchCursors cursors) {
  for ([[maybe_unused]] const int64_t only : units_of(SingleThread{}, 1)) next_batch(cursors);
}

__global__ void rewind_batches_kernel(BatchCursors cursors) {
  for ([[maybe_unused]] const int64_t only : units_of(SingleThread{}, 1)) {
    for (BatchCursor* cursor : {cursors.samples.cursor, cursors.users.cursor,
                                cursors.positives.cursor, cursors.negatives.cursor}) {
      if (cursor != nullptr) *cursor = BatchCursor{};
    }
  }
}

__global__ void set_epoch_kernel(EpochState* state, EpochState value) {
  for ([[maybe_unused]] const int64_t only : units_of(SingleThread{}, 1)) *state = value;
}

__global__ void locate_rows_kernel(Vector<int32_t> position, RowSegments rows) {
  const BatchCursor batch = *rows.batch;
  for (const int64_t i : units_of(SingleThread{}, batch.count)) {
    position[rows.rows[batch.begin + i]] = static_cast<int32_t>(batch.begin + i + 1);
  }
}

void check_segments(const SegmentBuffers& out, int64_t n, int64_t batch_size, int64_t table_rows) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (batch_size < 1 || n > kMax || table_rows > kMax) {
    throw std::invalid_argument("build_segments: " + std::to_string(n) + " samples of " +
                                std::to_string(table_rows) + " rows in batches of " +
                                std::to_string(batch_size) +
                                "; a batch has at least one sample, numbers are 32-bit");
  }
  const int64_t batches = number_of_batches(n, batch_size);
  if (out.rows.size != n || out.offsets.size != n + 1 || out.occurrences.size != n ||
      out.batch_offsets.size != batches + 1 || out.unsorted.keys.size != n ||
      out.unsorted.values.size != n || out.sorted.keys.size != n || out.sorted.values.size != n ||
      out.heads.size < n || out.scratch.size < segments_scratch_bytes(n)) {
    throw std::invalid_argument("build_segments: buffers for " + std::to_string(out.rows.size) +
                                " samples and " + std::to_string(out.batch_offsets.size - 1) +
                                " batches do not fit " + std::to_string(n) + " samples in " +
                                std::to_string(batches) + " batches");
  }
}

}  // namespace

int64_t segments_scratch_bytes(int64_t n) {
  return std::max(sort_pairs_scratch_bytes(n), exclusive_sum_scratch_bytes(n));
}

void build_segments(SegmentBuffers out, Vector<const int32_t> row_of_sample, int64_t batch_size,
                    int64_t table_rows, const Stream& stream) {
  const int64_t n = row_of_sample.size;
  check_segments(out, n, batch_size, table_rows);
  if (n == 0) {
    fill_zero(out.offsets.data, sizeof(int32_t), stream);
    fill_zero(out.batch_offsets.data, sizeof(int32_t), stream);
    return;
  }
  const int64_t batches = number_of_batches(n, batch_size);
  const int row_bits = bits_for(table_rows);
  const int bits = std::max(1, bits_for(batches) + row_bits);
  launch("segment_keys", threads_for(n), stream, segment_keys_kernel, out.unsorted, row_of_sample,
         batch_size, row_bits);
  sort_pairs(out.sorted, out.unsorted, bits, out.scratch, stream);
  launch("segment_heads", threads_for(n), stream, segment_heads_kernel, out.heads, out.sorted.keys);
  const auto heads = out.heads.slice(0, n);
  exclusive_sum(heads, heads, out.scratch, stream);
  launch("segment_rows", threads_for(n), stream, segment_rows_kernel, out, row_bits);
}

void advance_batch(const BatchCursors& cursors, const Stream& stream) {
  const SampleCursor& samples = cursors.samples;
  if (samples.batch_size < 1 || samples.n > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument("advance_batch: " + std::to_string(samples.n) +
                                " samples in batches of " + std::to_string(samples.batch_size));
  }
  const int64_t batches = number_of_batches(samples.n, samples.batch_size);
  for (const SegmentCursor& list : {cursors.users, cursors.positives, cursors.negatives}) {
    if (list.cursor != nullptr) {
      require_size("advance_batch", "batch_offsets", list.batch_offsets, batches + 1);
    }
  }
  if (samples.n == 0) return rewind_batches(cursors, stream);
  launch("advance_batch", threads_for(1), stream, advance_batch_kernel, cursors);
}

void rewind_batches(const BatchCursors& cursors, const Stream& stream) {
  launch("rewind_batches", threads_for(1), stream, rewind_batches_kernel, cursors);
}

void set_epoch(EpochState* state, EpochState value, const Stream& stream) {
  launch("set_epoch", threads_for(1), stream, set_epoch_kernel, state, value);
}

void locate_rows(Vector<int32_t> position, RowSegments rows, const Stream& stream) {
  if (rows.capacity == 0) return;
  launch("locate_rows", threads_for(rows.capacity), stream, locate_rows_kernel, position, rows);
}

}  // namespace derrd
