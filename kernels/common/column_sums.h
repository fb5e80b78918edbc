#pragma once

// Column sums of a block of rows, for bias gradients: deterministic, and along the rows in memory
// so that a CPU adds whole vectors and a GPU loads coalesced.

#include <cstdint>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Columns that one block sums, the work unit of a column-sum kernel: one per lane, so that a sum
/// stays in a register and several rows are on their way at once; where a tile has one lane, a
/// number that makes a row's part whole vectors.
constexpr int64_t kSumColumns = kTileLanes > 1 ? kTileLanes : 256;
DERRD_HOST_DEVICE inline int64_t sum_strips(int64_t columns) {
  return (columns + kSumColumns - 1) / kSumColumns;
}
/// Columns of the strip that begins at column `first`.
DERRD_HOST_DEVICE inline int64_t strip_width(int64_t first, int64_t columns) {
  return columns - first < kSumColumns ? columns - first : kSumColumns;
}

/// The partial sums of a block's tiles.
using ColumnPartials = SharedArray<float, kBlockTiles * kSumColumns>;

/// Rows begin .. end - 1.
struct RowRange {
  int64_t begin, end;
};

/// sums[c] += sum over the rows p of row_of(p)(c), for the columns c of strip `strip`. Tile t of
/// the block takes rows begin + t, begin + t + tiles, ...; the tiles' partial sums are added in the
/// order of t. Called by a whole block.
template <class RowOf>
__device__ __forceinline__ void accumulate_columns(ColumnPartials& partials, Vector<float> sums,
                                                   RowRange rows, int64_t strip, RowOf row_of) {
  const auto block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const int64_t first = strip * kSumColumns;
  const int64_t width = strip_width(first, sums.size);
  block.sync();  // the partial sums of the block's last strip have been read
  const int64_t own = tile.meta_group_rank() * kSumColumns;
  if constexpr (kTileLanes > 1) {
    const int64_t c = tile.thread_rank();
    float sum = 0;
    for (int64_t p = rows.begin + tile.meta_group_rank(); p < rows.end && c < width;
         p += tile.meta_group_size()) {
      sum += row_of(p)(first + c);
    }
    partials[own + c] = sum;
  } else {
    for (int64_t c = 0; c < width; ++c) partials[own + c] = 0;
    for (int64_t p = rows.begin; p < rows.end; ++p) {
      const auto row = row_of(p);
      for (int64_t c = 0; c < width; ++c) partials[own + c] += row(first + c);
    }
  }
  block.sync();
  for (int64_t c = block.thread_rank(); c < width; c += block.size()) {
    float sum = sums[first + c];
    for (int64_t t = 0; t < tile.meta_group_size(); ++t) sum += partials[t * kSumColumns + c];
    sums[first + c] = sum;
  }
}

/// Weighted column sums: accumulate_columns with row_of(p)(c) = row_weight(p) * matrix[p][c].
template <class RowWeight>
__device__ __forceinline__ void accumulate_column_sums(ColumnPartials& partials, Vector<float> sums,
                                                       Matrix<const float> matrix, RowRange rows,
                                                       int64_t strip, RowWeight row_weight) {
  accumulate_columns(partials, sums, rows, strip, [&](int64_t p) {
    const float* __restrict__ row = matrix.row(p);
    const float weight = row_weight(p);
    return [=](int64_t c) { return weight * row[c]; };
  });
}

}  // namespace derrd
