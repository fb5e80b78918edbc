#pragma once

// Rows that one tile fills or copies, its lanes striding over the columns.

#include <cstdint>

#include "kernels/platform/execution.h"

namespace derrd {

/// row[k] = value for k < size.
__device__ __forceinline__ void fill_row(const WarpTile& tile, float* row, int64_t size,
                                         float value) {
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) row[k] = value;
}

/// to[k] = from[k] for k < size. The two do not overlap.
template <class T>
__device__ __forceinline__ void copy_row(const WarpTile& tile, T* __restrict__ to,
                                         const T* __restrict__ from, int64_t size) {
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) to[k] = from[k];
}

}  // namespace derrd
