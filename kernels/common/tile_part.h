#pragma once

// A part of a block's shared memory for each of its tiles.

#include <cstdint>

#include "kernels/platform/execution.h"

namespace derrd {

/// A tile's part of an array in shared memory.
template <class T, int kSize>
struct TilePart {
  SharedArray<T, kSize>& array;
  int64_t begin;
  __device__ decltype(auto) operator[](int64_t i) const { return array[begin + i]; }
};
/// The caller's part of an array that all tiles of a block share.
template <class T, int kSize>
__device__ __forceinline__ TilePart<T, kSize> part_of(const WarpTile& tile,
                                                      SharedArray<T, kSize>& array) {
  return {array, tile.meta_group_rank() * (kSize / kBlockTiles)};
}

}  // namespace derrd
