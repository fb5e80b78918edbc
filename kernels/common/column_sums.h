#pragma once

// Column sums of a block of rows, for bias gradients: deterministic, and along the rows in memory
// so that a CPU adds whole vectors and a GPU loads coalesced.

#include <cstdint>
#include <type_traits>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Columns of a strip, the work unit of accumulate_columns. On a GPU they are the floats of a
/// sector, so that a tile adds kStripRows rows at once, and few columns are work for several
/// blocks; where a tile has one lane, a number that makes a row's part whole vectors.
constexpr int64_t kStripColumns = kTileLanes > 1 ? 8 : 256;
constexpr int64_t kStripRows = kTileLanes > 1 ? kTileLanes / kStripColumns : 1;
DERRD_HOST_DEVICE inline int64_t column_strips(int64_t columns) {
  return (columns + kStripColumns - 1) / kStripColumns;
}

/// The partial sums of a block's tiles.
using ColumnPartials = SharedArray<float, kBlockTiles * kStripColumns>;

/// Rows begin .. end - 1.
struct RowRange {
  int64_t begin, end;
};

/// Sum of row_of(p)(column) over part `part` of `parts` of the rows p, for the lanes of a column,
/// which share the rows. For tiles of several lanes.
/// @param exists whether the lane's column does
template <class RowOf>
__device__ __forceinline__ float strip_sum(const WarpTile& tile, int64_t column, bool exists,
                                           RowRange rows, int64_t part, int64_t parts,
                                           RowOf row_of) {
  float sum = 0;
  const int64_t end = exists ? rows.end : rows.begin;
  const int64_t step = parts * kStripRows;
  int64_t p = rows.begin + part * kStripRows + tile.thread_rank() / kStripColumns;
  for (; p + 3 * step < end; p += 4 * step) {  // four loads on their way at once
    const float first = row_of(p)(column), second = row_of(p + step)(column);
    const float third = row_of(p + 2 * step)(column), fourth = row_of(p + 3 * step)(column);
    sum += (first + second) + (third + fourth);
  }
  for (; p < end; p += step) sum += row_of(p)(column);
  for (unsigned distance = kStripColumns; distance < kTileLanes; distance *= 2) {
    sum += tile.shfl(sum, tile.thread_rank() ^ distance);
  }
  return sum;
}

/// sums[c] += sum over the rows p of row_of(p)(c), for the columns c of strip `strip`, in an order
/// that the executor fixes. Called by all of `group`: a block, whose tiles share the rows, or a
/// tile if they are few.
template <class Group, class RowOf>
__device__ __forceinline__ void accumulate_columns(const Group& group, ColumnPartials& partials,
                                                   Vector<float> sums, RowRange rows, int64_t strip,
                                                   RowOf row_of) {
  const WarpTile tile = warp_tile();
  const int64_t first = strip * kStripColumns;
  const int64_t left = sums.size - first;
  const int64_t width = left < kStripColumns ? left : kStripColumns;
  if constexpr (kTileLanes == 1) {
    for (int64_t c = 0; c < width; ++c) partials[c] = 0;
    for (int64_t p = rows.begin; p < rows.end; ++p) {
      const auto row = row_of(p);
      for (int64_t c = 0; c < width; ++c) partials[c] += row(first + c);
    }
    for (int64_t c = 0; c < width; ++c) sums[first + c] += partials[c];
  } else {
    const int64_t c = tile.thread_rank() % kStripColumns;
    if constexpr (std::is_same_v<Group, WarpTile>) {
      const float sum = strip_sum(tile, first + c, c < width, rows, 0, 1, row_of);
      if (tile.thread_rank() < width) sums[first + c] += sum;
    } else {
      const int64_t own = tile.meta_group_rank();
      const float sum =
          strip_sum(tile, first + c, c < width, rows, own, tile.meta_group_size(), row_of);
      group.sync();  // the partial sums of the block's last strip have been read
      if (tile.thread_rank() < kStripColumns) partials[own * kStripColumns + c] = sum;
      group.sync();
      if (group.thread_rank() < width) {
        float total = sums[first + c];
        for (int64_t t = 0; t < tile.meta_group_size(); ++t) {
          total += partials[t * kStripColumns + c];
        }
        sums[first + c] = total;
      }
    }
  }
}

/// Weighted column sums: accumulate_columns with row_of(p)(c) = row_weight(p) * matrix[p][c].
template <class Group, class RowWeight>
__device__ __forceinline__ void accumulate_column_sums(const Group& group, ColumnPartials& partials,
                                                       Vector<float> sums,
                                                       Matrix<const float> matrix, RowRange rows,
                                                       int64_t strip, RowWeight row_weight) {
  accumulate_columns(group, partials, sums, rows, strip, [&](int64_t p) {
    const float* __restrict__ row = matrix.row(p);
    const float weight = row_weight(p);
    return [=](int64_t c) { return weight * row[c]; };
  });
}

}  // namespace derrd
