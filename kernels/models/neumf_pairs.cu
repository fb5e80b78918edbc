// The pairs (user, item) of a batch of samples (user, positive, negative), and their rows.
//
//   pair 2s     = (user, positive) of the batch's sample s
//   pair 2s + 1 = (user, negative)
//
// A row that occurs in many pairs is computed on once: what a model makes of it lies in a matrix of
// the batch's distinct rows (gather_rows), where the pair finds it at its *position*. The segments
// hold the inverse, the samples of every distinct row; locate_pairs inverts it.
//
// Shapes: N = 2 B pairs; B samples, of which the batch has `count`.
// Threads: one per distinct row, which writes its samples' pairs, and one per sample that a partial
// batch lacks. Every pair is written by one thread.
// Bytes: 16 per pair written, 4 per occurrence and 8 per distinct row read: little compared
// with the pairs' vectors.
// Trap: an item may be positive in one sample and negative in another. It is two distinct rows
// then.

#include "kernels/models/neumf_pairs.h"

#include <stdexcept>
#include <string>

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// Writes the position and the row of distinct row i into its pairs.
__device__ __forceinline__ void write_pairs(Vector<int32_t> rows, Vector<int32_t> positions,
                                            const PairSegments& segments, int64_t i,
                                            int64_t first_position) {
  const BatchCursor batch = *segments.rows.batch;
  if (i >= batch.count) return;
  const int64_t segment = batch.begin + i;
  const int32_t row = segments.rows.rows[segment];
  const int64_t end = segments.rows.offsets[segment + 1];
  for (int64_t o = segments.rows.offsets[segment]; o < end; ++o) {
    const int64_t sample = segments.rows.occurrences[o] - segments.samples->begin;
    for (int64_t j = segments.first; j < segments.last; ++j) {
      rows[2 * sample + j] = row;
      positions[2 * sample + j] = static_cast<int32_t>(first_position + i);
    }
  }
}

__global__ void locate_pairs_kernel(PairBuffers out, PairBatch batch) {
  const int64_t users = batch.distinct_users.capacity;
  const int64_t positives = batch.distinct_positives.capacity;
  const int64_t negatives = batch.distinct_negatives.capacity;
  const int64_t rows = users + positives + negatives;
  const BatchCursor samples = *batch.samples;
  for (const int64_t unit : units_of(SingleThread{}, rows + out.user_rows.size / 2)) {
    if (unit < users) {
      write_pairs(out.user_rows, out.user_positions, batch.users(), unit, 0);
    } else if (unit < users + positives) {
      write_pairs(out.item_rows, out.item_positions, batch.positives(), unit - users, 0);
    } else if (unit < rows) {
      write_pairs(out.item_rows, out.item_positions, batch.negatives(), unit - users - positives,
                  positives);
    } else if (const int64_t sample = unit - rows; sample >= samples.count) {
      for (const int64_t pair : {2 * sample, 2 * sample + 1}) {
        out.user_rows[pair] = out.item_rows[pair] = 0;
        out.user_positions[pair] = out.item_positions[pair] = 0;
      }
    }
    if (unit == 0) *out.cursor = {samples.number, 2 * samples.begin, 2 * samples.count};
  }
}

__global__ void enumerate_pairs_kernel(Vector<int32_t> users, Vector<int32_t> items,
                                       UserLists lists, int64_t first_pair) {
  for (const int64_t p : units_of(SingleThread{}, users.size)) {
    const int64_t n = first_pair + p;
    users[p] = static_cast<int32_t>(lists.first_user + n / lists.width);
    items[p] = lists.listed.size == 0 ? static_cast<int32_t>(n % lists.width) : lists.listed[n];
  }
}

}  // namespace

void locate_pairs(PairBuffers out, PairBatch batch, const Stream& stream) {
  const int64_t pairs = out.user_rows.size;
  require_size("locate_pairs", "item_rows", out.item_rows, pairs);
  require_size("locate_pairs", "user_positions", out.user_positions, pairs);
  require_size("locate_pairs", "item_positions", out.item_positions, pairs);
  if (pairs % 2 != 0) {
    throw std::invalid_argument("locate_pairs: room for " + std::to_string(pairs) +
                                " pairs; a sample has two");
  }
  const int64_t units = batch.distinct_users.capacity + batch.distinct_positives.capacity +
                        batch.distinct_negatives.capacity + pairs / 2;
  if (units == 0) return;
  constexpr int64_t kOperationsPerRow = 16;
  launch("locate_pairs", threads_for(units, kOperationsPerRow), stream, locate_pairs_kernel, out,
         batch);
}

void enumerate_pairs(Vector<int32_t> users, Vector<int32_t> items, const UserLists& lists,
                     int64_t first_pair, const Stream& stream) {
  require_size("enumerate_pairs", "items", items, users.size);
  const int64_t listed = lists.listed.size;
  if (listed != 0 && first_pair + users.size > listed) {
    throw std::invalid_argument("enumerate_pairs: pairs up to number " +
                                std::to_string(first_pair + users.size) + " of lists of " +
                                std::to_string(listed) + " items together");
  }
  if (users.size == 0) return;
  constexpr int64_t kOperationsPerPair = 8;
  launch("enumerate_pairs", threads_for(users.size, kOperationsPerPair), stream,
         enumerate_pairs_kernel, users, items, lists, first_pair);
}

}  // namespace derrd
