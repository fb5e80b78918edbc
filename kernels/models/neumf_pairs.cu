// The pairs (user, item) of a batch of samples (user, positive, negative), and their rows.
//
//   pair 2s     = (user, positive) of the batch's sample s
//   pair 2s + 1 = (user, negative)
//
// A row that occurs in many pairs is computed on once: what a model makes of it lies in a matrix of
// the batch's distinct rows, where the pair finds it at its *position*. The segments hold the
// inverse, the samples of every distinct row; locate_pairs inverts it, and copies the rows' vectors
// to their positions on the way.
//
// Shapes: N = 2 B pairs; B samples, of which the batch has `count`.
// Mapping: a tile per distinct row, or per four where they are whole quads; the lanes of a row
// stride over the vector and over the samples, whose pairs they write; a thread per sample that a
// partial batch lacks. One lane writes a pair.
// Bytes: 8 D + 8 per distinct row, 4 per occurrence, 16 per pair: bandwidth.
// Trap: an item may be positive in one sample and negative in another. It is two distinct rows
// then.

#include "kernels/models/neumf_pairs.h"

#include <stdexcept>
#include <string>

#include "kernels/common/row_lanes.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// What locate_pairs writes and reads for users, or for items.
struct PairSide {
  Vector<int32_t> rows, positions;
  Matrix<float> vectors;
  Matrix<const float> table;
};

/// Copies the vector of distinct row i, and writes its row and position into its pairs.
template <class Element>
__device__ __forceinline__ void place_row(const RowLanes<Element>& lanes, const PairSide& side,
                                          const PairSegments& segments, int64_t i,
                                          int64_t first_position) {
  constexpr int kLanes = RowLanes<Element>::kLanes;
  const BatchCursor batch = *segments.rows.batch;
  const auto position = static_cast<int32_t>(first_position + i);
  Element* __restrict__ vector = elements_of<Element>(side.vectors.row(position));
  const int elements = elements_in<Element>(side.vectors.cols);
  if (i >= batch.count) {
    for (int k = lanes.rank; k < elements; k += kLanes) vector[k] = Element{};
    return;
  }
  const int64_t segment = batch.begin + i;
  const int32_t row = segments.rows.rows[segment];
  const Element* __restrict__ from = elements_of<Element>(side.table.row(row));
  for (int k = lanes.rank; k < elements; k += kLanes) vector[k] = from[k];
  const int32_t first_sample = segments.samples->begin;
  const int32_t end = segments.rows.offsets[segment + 1];
  for (int32_t o = segments.rows.offsets[segment] + lanes.rank; o < end; o += kLanes) {
    const int32_t sample = segments.rows.occurrences[o] - first_sample;
    for (int32_t j = segments.first; j < segments.last; ++j) {
      side.rows[2 * sample + j] = row;
      side.positions[2 * sample + j] = position;
    }
  }
}

template <class Element>
__global__ void locate_pairs_kernel(PairBuffers out, PositionVectors vectors, PairBatch batch) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const PairSide user = {out.user_rows, out.user_positions, vectors.users, vectors.user_table};
  const PairSide item = {out.item_rows, out.item_positions, vectors.items, vectors.item_table};
  const int64_t users = batch.distinct_users.capacity;
  const int64_t positives = batch.distinct_positives.capacity;
  const int64_t rows = users + positives + batch.distinct_negatives.capacity;
  for (const int64_t unit : units_of(tile, Lanes::tiles(rows))) {
    const int64_t row = unit * Lanes::kRows + lanes.row;
    if (row < users) {
      place_row(lanes, user, batch.users(), row, 0);
    } else if (row < users + positives) {
      place_row(lanes, item, batch.positives(), row - users, 0);
    } else if (row < rows) {
      place_row(lanes, item, batch.negatives(), row - users - positives, positives);
    }
  }
  const BatchCursor samples = *batch.samples;
  for (const int64_t sample : units_of(SingleThread{}, out.user_rows.size / 2)) {
    if (sample == 0) *out.cursor = {samples.number, 2 * samples.begin, 2 * samples.count};
    if (sample < samples.count) continue;
    for (const int64_t pair : {2 * sample, 2 * sample + 1}) {
      out.user_rows[pair] = out.item_rows[pair] = 0;
      out.user_positions[pair] = out.item_positions[pair] = 0;
    }
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

void locate_pairs(PairBuffers out, const PositionVectors& vectors, PairBatch batch,
                  const Stream& stream) {
  constexpr const char* kName = "locate_pairs";
  const int64_t pairs = out.user_rows.size;
  const int64_t users = batch.distinct_users.capacity;
  const int64_t items = batch.distinct_positives.capacity + batch.distinct_negatives.capacity;
  require_size(kName, "item_rows", out.item_rows, pairs);
  require_size(kName, "user_positions", out.user_positions, pairs);
  require_size(kName, "item_positions", out.item_positions, pairs);
  if (pairs % 2 != 0) {
    throw std::invalid_argument("locate_pairs: room for " + std::to_string(pairs) +
                                " pairs; a sample has two");
  }
  const int64_t cols = vectors.users.cols;
  require_shape(kName, "users", vectors.users, users, cols);
  require_shape(kName, "items", vectors.items, items, cols);
  require_shape(kName, "user_table", vectors.user_table, vectors.user_table.rows, cols);
  require_shape(kName, "item_table", vectors.item_table, vectors.item_table.rows, cols);
  if (pairs == 0) return;
  constexpr int64_t kOperationsPerRow = 16;
  const bool quads = are_quads(cols, {vectors.users.data, vectors.items.data,
                                      vectors.user_table.data, vectors.item_table.data});
  launch(kName, tiles_for(row_tiles(users + items, quads), kOperationsPerRow + cols), stream,
         quads ? locate_pairs_kernel<Quad> : locate_pairs_kernel<float>, out, vectors, batch);
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
