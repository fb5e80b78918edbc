#pragma once

// The sum of one number per thread of a block: deterministic, for the few kernels that run as a
// single block.

#include <cstdint>

#include "kernels/platform/execution.h"

namespace derrd {

/// The sums of a block's tiles.
template <class T>
using TileSums = SharedArray<T, kBlockTiles>;

/// The sum of all threads' values, in thread 0 of the block; the other threads get 0. A tile adds
/// its lanes, thread 0 the tiles' sums in their order. Called once by a whole block.
template <class T>
__device__ __forceinline__ T block_sum(TileSums<T>& tile_sums, T value) {
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  value = cg::reduce(tile, value, cg::plus<T>());
  if (tile.thread_rank() == 0) tile_sums[tile.meta_group_rank()] = value;
  block.sync();

  T sum = 0;
  if (block.thread_rank() == 0) {
    for (int64_t t = 0; t < tile.meta_group_size(); ++t) sum += tile_sums[t];
  }
  return sum;
}

}  // namespace derrd
