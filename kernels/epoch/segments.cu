// The distinct rows of every batch of an epoch, each with its samples in order: the plan by which
// gradients are reduced without atomics and which DE and RRD read as "the users and items of the
// batch".
//
//   key(l, i) = list, batch, row of sample i         as one integer: (l, batch) << row_bits | row
//   stable sort of (key, i)                          -> occurrences, ascending within a row
//   head(k) = [key(k) != key(k - 1)]                 -> exclusive sum = number of the row's segment
//   at a head: rows[segment] = row, offsets[segment] = i; at a batch's first: batch_offsets[batch]
//
// Shapes: L lists of n samples, at most n segments each, ceil(n / batch_size) batches.
// Threads: one per list and sample.
//
// Bytes: the sort's passes over 12 L n bytes dominate; the three kernels move about 50 L n bytes
// once and should run at copy speed. Keys are as narrow as batches and rows allow: up to 32 bits,
// which is the rule, the sort takes half its passes. A pass over the 115,142 samples of CiteULike
// fills no GPU, so the lists of an epoch share their passes.
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

/// The lists of a call by value: the host's are gone when a kernel runs. Pairs of all lists follow
/// one another, n of each.
struct Grouping {
  SegmentList lists[kMaxSegmentLists];
  SegmentWorkspace space;
  int64_t n, batch_size;
  int row_bits, batch_bits;
};

/// A list's pair: which list, and the sample there.
struct ListSample {
  int list;
  int64_t sample;
};
__device__ __forceinline__ ListSample list_sample(int64_t pair, int64_t n) {
  ListSample at = {0, pair};
  for (; at.sample >= n; at.sample -= n) ++at.list;
  return at;
}

__global__ void segment_keys_kernel(const __grid_constant__ Grouping g) {
  const SortBuffers out = g.space.unsorted;
  for (const int64_t pair : units_of(SingleThread{}, out.keys.size)) {
    const auto [list, sample] = list_sample(pair, g.n);
    const auto batch = static_cast<uint64_t>(sample / g.batch_size);
    const auto row = static_cast<uint32_t>(g.lists[list].row_of_sample[sample]);
    out.keys[pair] = (static_cast<uint64_t>(list) << g.batch_bits | batch) << g.row_bits | row;
    out.values[pair] = static_cast<uint32_t>(sample);
  }
}

__device__ __forceinline__ bool is_head(Vector<const uint64_t> keys, int64_t i) {
  return i == 0 || keys[i] != keys[i - 1];
}

__global__ void segment_heads_kernel(Vector<int32_t> heads, Vector<const uint64_t> keys) {
  for (const int64_t i : units_of(SingleThread{}, keys.size)) heads[i] = is_head(keys, i) ? 1 : 0;
}

/// `heads` holds its exclusive sum by now: it counts the segments of all lists.
__global__ void segment_rows_kernel(const __grid_constant__ Grouping g) {
  const Vector<const uint64_t> keys = g.space.sorted.keys;
  const Vector<const int32_t> heads = g.space.heads;
  const uint64_t row_mask = (uint64_t{1} << g.row_bits) - 1;
  const uint64_t batch_mask = (uint64_t{1} << g.batch_bits) - 1;
  for (const int64_t pair : units_of(SingleThread{}, keys.size)) {
    const auto [list, i] = list_sample(pair, g.n);
    const SegmentList& out = g.lists[list];
    const uint64_t key = keys[pair];
    const bool head = is_head(keys, pair);
    const int32_t segment = heads[pair] - heads[list * g.n];
    out.occurrences[i] = static_cast<int32_t>(g.space.sorted.values[pair]);
    if (head) {
      out.rows[segment] = static_cast<int32_t>(key & row_mask);
      out.offsets[segment] = static_cast<int32_t>(i);
      if (i == 0 || keys[pair - 1] >> g.row_bits != key >> g.row_bits) {
        out.batch_offsets[static_cast<int64_t>(key >> g.row_bits & batch_mask)] = segment;
      }
    }
    if (i == g.n - 1) {
      const int32_t segments = segment + (head ? 1 : 0);
      out.offsets[segments] = static_cast<int32_t>(g.n);
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

void check_list(const SegmentList& list, int64_t n, int64_t batches) {
  constexpr const char* kName = "build_segments";
  require_size(kName, "row_of_sample", list.row_of_sample, n);
  require_size(kName, "rows", list.rows, n);
  require_size(kName, "offsets", list.offsets, n + 1);
  require_size(kName, "occurrences", list.occurrences, n);
  require_size(kName, "batch_offsets", list.batch_offsets, batches + 1);
}

void check_numbers(int64_t lists, int64_t n, int64_t batch_size, int64_t table_rows) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  if (lists > kMaxSegmentLists || batch_size < 1 || lists * n > kMax || table_rows > kMax) {
    throw std::invalid_argument("build_segments: " + std::to_string(lists) + " lists of " +
                                std::to_string(n) + " samples of " + std::to_string(table_rows) +
                                " rows in batches of " + std::to_string(batch_size) + "; at most " +
                                std::to_string(kMaxSegmentLists) +
                                " lists, a batch has at least one sample, numbers are 32-bit");
  }
}

}  // namespace

int64_t segments_scratch_bytes(int64_t pairs) {
  return std::max(sort_pairs_scratch_bytes(pairs), exclusive_sum_scratch_bytes(pairs));
}

void build_segments(std::span<const SegmentList> lists, SegmentWorkspace space, int64_t batch_size,
                    const Stream& stream) {
  constexpr const char* kName = "build_segments";
  if (lists.empty()) return;
  const auto count = static_cast<int64_t>(lists.size());
  const int64_t n = lists[0].row_of_sample.size;
  int64_t table_rows = 1;
  for (const SegmentList& list : lists) table_rows = std::max(table_rows, list.table_rows);
  check_numbers(count, n, batch_size, table_rows);
  const int64_t batches = number_of_batches(n, batch_size);
  for (const SegmentList& list : lists) check_list(list, n, batches);
  const int64_t pairs = count * n;
  for (const SortBuffers& buffers : {space.unsorted, space.sorted}) {
    require_size(kName, "keys", buffers.keys, pairs);
    require_size(kName, "values", buffers.values, pairs);
  }
  require_size(kName, "heads", space.heads, pairs);
  if (space.scratch.size < segments_scratch_bytes(pairs)) {
    throw std::invalid_argument("build_segments: scratch of " + std::to_string(space.scratch.size) +
                                " bytes is too small for " + std::to_string(pairs) + " pairs");
  }
  if (n == 0) {
    for (const SegmentList& list : lists) {
      fill_zero(list.offsets.data, sizeof(int32_t), stream);
      fill_zero(list.batch_offsets.data, sizeof(int32_t), stream);
    }
    return;
  }
  Grouping g{.lists = {},
             .space = space,
             .n = n,
             .batch_size = batch_size,
             .row_bits = bits_for(table_rows),
             .batch_bits = bits_for(batches)};
  std::copy(lists.begin(), lists.end(), g.lists);
  const int bits = std::max(1, bits_for(count) + g.batch_bits + g.row_bits);
  launch("segment_keys", threads_for(pairs), stream, segment_keys_kernel, g);
  sort_pairs(space.sorted, space.unsorted, bits, space.scratch, stream);
  launch("segment_heads", threads_for(pairs), stream, segment_heads_kernel, space.heads,
         space.sorted.keys);
  exclusive_sum(space.heads, space.heads, space.scratch, stream);
  launch("segment_rows", threads_for(pairs), stream, segment_rows_kernel, g);
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
