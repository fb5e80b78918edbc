#pragma once

// Rows that one tile fills or copies, its lanes striding over the columns. Columns are numbered by
// 32 bits, which take a GPU half the instructions.

#include <cstdint>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

namespace derrd {

/// row[k] = value for k < size.
__device__ __forceinline__ void fill_row(const WarpTile& tile, float* row, int64_t size,
                                         float value) {
  const auto columns = static_cast<int>(size);
  for (int k = static_cast<int>(tile.thread_rank()); k < columns; k += kTileLanes) row[k] = value;
}

/// to[k] = from[k] for k < size. The two do not overlap.
template <class T>
__device__ __forceinline__ void copy_row(const WarpTile& tile, T* __restrict__ to,
                                         const T* __restrict__ from, int64_t size) {
  const auto columns = static_cast<int>(size);
  for (int k = static_cast<int>(tile.thread_rank()); k < columns; k += kTileLanes) to[k] = from[k];
}

}  // namespace derrd
