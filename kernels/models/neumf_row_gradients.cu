// Gradients by the vectors of NeuMF's users and items, from those of the pairs in which they occur
// (He et al., WWW'17, equation 12).
//
//   product      dL/du += sum over the pairs p of u of (dL/dx_p)[:D] * i_p;  dL/di likewise
//   first layer  z_p = dL/dh_p where h_p > 0, else 0
//                dL/d(W_u u) = sum over the pairs p of u of z_p;  dL/d(W_i i) likewise
//
// Both sums go through the same pairs of a row, which one pass finds once. With one hidden layer
// dL/dh_p lies behind the product's gradient in dL/dx_p, and is read from there.
//
// Shapes: u [U, D], i [I, D], h [N, D], x [N, D + H].
// Mapping: a tile per distinct row, whose lanes hold the sums of their columns in registers. On a
// GPU a popular row (many pairs) would keep its tile busy long after the others: each 16 of its
// columns have a tile, 4 lanes per pair, whose sums are added at the end. Such a tile looks for
// popular rows among 8. Users and positive items share a launch, negative items take the next one,
// because an item may be both and one tile at a time may add to its row.
// Bytes: 16 D per pair and side, 12 D per distinct row: bandwidth, the cache's for the pairs, the
// table's memory for the rows.
//
// Trap: rows beyond the batch's must become 0, since the products that follow sum over them.

#include "kernels/models/neumf_row_gradients.h"

#include <limits>

#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

namespace derrd {

namespace {

/// Rows with more pairs are popular: none where a tile has one lane.
constexpr int kFewPairs = kTileLanes > 1 ? 4 : std::numeric_limits<int>::max();
constexpr int kGroup = 8;   ///< rows among which a tile looks for popular ones
constexpr int kStrip = 16;  ///< columns of a popular row that it sums

/// Gradients by the users, the positive or the negative items.
struct RowSide {
  Matrix<float> grad_table, grad_part;
  Matrix<const float> other;  ///< the other side's table
  Vector<const int32_t> other_rows;
  PairSegments segments;
};

/// Gradients of the pairs.
struct PairGradients {
  Matrix<const float> joint, grad_hidden, hidden;
  int64_t first_column;
};

/// The pairs of a distinct row, and where their sums go.
struct RowPairs {
  float *grad, *part;
  const int32_t* occurrences;
  int32_t first_sample, first_pair;
  int32_t width;  ///< pairs of a sample, 1 or 2
  int32_t count;

  __device__ int32_t operator[](int32_t q) const {
    const int32_t sample = occurrences[q >> (width - 1)] - first_sample;
    return 2 * sample + first_pair + (q & (width - 1));
  }
};

__device__ __forceinline__ int32_t count_pairs(const PairSegments& segments, int32_t segment) {
  const int32_t* offset = segments.rows.offsets.data + segment;
  return (offset[1] - offset[0]) * (segments.last - segments.first);
}

__device__ __forceinline__ RowPairs pairs_of(const RowSide& side, int32_t i) {
  const PairSegments& segments = side.segments;
  const int32_t segment = segments.rows.batch->begin + i;
  return {.grad = side.grad_table.row(segments.rows.rows[segment]),
          .part = side.grad_part.row(i),
          .occurrences = segments.rows.occurrences.data + segments.rows.offsets[segment],
          .first_sample = segments.samples->begin,
          .first_pair = segments.first,
          .width = segments.last - segments.first,
          .count = count_pairs(segments, segment)};
}

/// Adds up the pairs of a row, kPairs at a time, in `columns` columns from `column` on: a lane has
/// kColumns of them.
template <int kPairs, int kColumns>
__device__ __forceinline__ void sum_in_registers(const WarpTile& tile, const RowSide& side,
                                                 const PairGradients& pairs, const RowPairs& row,
                                                 int column, int columns) {
  constexpr int kLanes = kTileLanes / kPairs;
  const int lane = static_cast<int>(tile.thread_rank());
  const int first = column + lane % kLanes;
  const int end = column + columns;
  float product[kColumns] = {}, part[kColumns] = {};
  for (int q = lane / kLanes; q < row.count; q += kPairs) {
    const int32_t pair = row[q];
    const float* __restrict__ grad_x = pairs.joint.row(pair) + first;
    const float* __restrict__ other = side.other.row(side.other_rows[pair]) + first;
    const float* __restrict__ grad_h = pairs.grad_hidden.row(pair) + pairs.first_column + first;
    const float* __restrict__ h = pairs.hidden.row(pair) + first;
    for (int j = 0; j < kColumns; ++j) {
      const int k = j * kLanes;
      if (first + k >= end) break;
      const float z = grad_h[k];
      product[j] += grad_x[k] * other[k];
      part[j] += h[k] > 0.0f ? z : 0.0f;
    }
  }
  for (int j = 0; j < kColumns; ++j) {
    for (int distance = kLanes; distance < kTileLanes; distance *= 2) {
      product[j] += tile.shfl(product[j], lane ^ distance);
      part[j] += tile.shfl(part[j], lane ^ distance);
    }
    const int k = first + j * kLanes;
    if (lane < kLanes && k < end) {
      row.grad[k] += product[j];
      row.part[k] = part[j];
    }
  }
}

/// Adds up the pairs of a row, one after the other.
__device__ __forceinline__ void sum_row(const WarpTile& tile, const RowSide& side,
                                        const PairGradients& pairs, const RowPairs& row) {
  const auto cols = static_cast<int>(side.grad_part.cols);
  if constexpr (kTileLanes > 1) {
    constexpr int kColumns = 8;
    constexpr int kWidth = kColumns * kTileLanes;
    for (int column = 0; column < cols; column += kWidth) {
      const int left = cols - column;
      sum_in_registers<1, kColumns>(tile, side, pairs, row, column, left < kWidth ? left : kWidth);
    }
  } else {
    float* __restrict__ grad = row.grad;
    float* __restrict__ part = row.part;
    for (int k = 0; k < cols; ++k) part[k] = 0.0f;
    for (int32_t q = 0; q < row.count; ++q) {
      const int32_t pair = row[q];
      const float* __restrict__ grad_x = pairs.joint.row(pair);
      const float* __restrict__ other = side.other.row(side.other_rows[pair]);
      const float* __restrict__ grad_h = pairs.grad_hidden.row(pair) + pairs.first_column;
      const float* __restrict__ h = pairs.hidden.row(pair);
      for (int k = 0; k < cols; ++k) grad[k] += grad_x[k] * other[k];
      for (int k = 0; k < cols; ++k) part[k] += h[k] > 0.0f ? grad_h[k] : 0.0f;
    }
  }
}

/// Adds up a strip of the popular rows of a group.
__device__ __forceinline__ void sum_strip(const WarpTile& tile, const RowSide& side,
                                          const PairGradients& pairs, int group, int strip) {
  const PairSegments& segments = side.segments;
  const BatchCursor batch = *segments.rows.batch;
  const int32_t first = group * kGroup;
  const int32_t own = first + static_cast<int32_t>(tile.thread_rank());
  const bool in_group = own < first + kGroup && own < batch.count;
  unsigned popular = tile.ballot(in_group && count_pairs(segments, batch.begin + own) > kFewPairs);
  const auto cols = static_cast<int>(side.grad_part.cols);
  const int column = strip * kStrip;
  for (; popular != 0; popular &= popular - 1) {
    const int32_t i = first + count_bits((popular & (~popular + 1)) - 1);
    sum_in_registers<8, 4>(tile, side, pairs, pairs_of(side, i), column,
                           cols - column < kStrip ? cols - column : kStrip);
  }
}

/// Tiles of the popular rows.
DERRD_HOST_DEVICE inline int64_t strips_of(int64_t cols) { return (cols + kStrip - 1) / kStrip; }
DERRD_HOST_DEVICE inline int64_t units_of_side(const RowSide& side) {
  const int64_t groups = kTileLanes > 1 ? (side.grad_part.rows + kGroup - 1) / kGroup : 0;
  return side.grad_part.rows + groups * strips_of(side.grad_part.cols);
}

__global__ void neumf_row_gradients_kernel(const __grid_constant__ CallList<RowSide> sides,
                                           PairGradients pairs) {
  const WarpTile tile = warp_tile();
  for_each_unit(tile, sides, units_of_side, [&](const RowSide& side, int64_t unit) {
    const int64_t rows = side.grad_part.rows;
    const int32_t count = side.segments.rows.batch->count;
    if (unit >= rows) {
      const auto strips = static_cast<int>(strips_of(side.grad_part.cols));
      const auto number = static_cast<int>(unit - rows);
      sum_strip(tile, side, pairs, number / strips, number % strips);
    } else if (unit >= count) {
      fill_row(tile, side.grad_part.row(unit), side.grad_part.cols, 0.0f);
    } else {
      const RowPairs row = pairs_of(side, static_cast<int32_t>(unit));
      if (row.count <= kFewPairs) sum_row(tile, side, pairs, row);
    }
  });
}

}  // namespace

void neumf_row_gradients(const NeumfRowGradients& out, const NeumfRowCall& call,
                         const Stream& stream) {
  constexpr const char* kName = "neumf_row_gradients";
  const int64_t pairs = call.hidden.rows;
  const int64_t cols = call.hidden.cols;
  const PairBatch& batch = call.batch;
  const int64_t positives = batch.distinct_positives.capacity;
  const int64_t negatives = batch.distinct_negatives.capacity;
  require_shape(kName, "user_table", call.user_table, call.user_table.rows, cols);
  require_shape(kName, "item_table", call.item_table, call.item_table.rows, cols);
  require_shape(kName, "grad_joint", call.grad_joint, pairs, call.grad_joint.cols);
  require_columns(kName, "grad_joint", call.grad_joint, 0, cols);
  require_shape(kName, "grad_hidden", call.grad_hidden, pairs, call.grad_hidden.cols);
  require_columns(kName, "grad_hidden", call.grad_hidden, call.first_column, cols);
  require_size(kName, "users of the pairs", call.pairs.users, pairs);
  require_size(kName, "items of the pairs", call.pairs.items, pairs);
  require_shape(kName, "user", out.user, call.user_table.rows, cols);
  require_shape(kName, "item", out.item, call.item_table.rows, cols);
  require_shape(kName, "user_part", out.user_part, batch.distinct_users.capacity, cols);
  require_shape(kName, "item_part", out.item_part, positives + negatives, cols);
  if (cols == 0) return;

  const RowSide user = {out.user, out.user_part, call.item_table, call.pairs.items, batch.users()};
  const auto items = [&](int64_t first, const PairSegments& segments) {
    return RowSide{out.item, out.item_part.slice(first, segments.rows.capacity), call.user_table,
                   call.pairs.users, segments};
  };
  CallList<RowSide> first = user;
  first.add(items(0, batch.positives()));
  for (const CallList<RowSide>& sides :
       {first, CallList<RowSide>(items(positives, batch.negatives()))}) {
    const int64_t units = total_units(sides, units_of_side);
    if (units == 0) continue;
    launch(kName, tiles_for(units, 4 * cols * pairs / units), stream, neumf_row_gradients_kernel,
           sides, PairGradients{call.grad_joint, call.grad_hidden, call.hidden, call.first_column});
  }
}

}  // namespace derrd
