#pragma once

// Rows of a list that the tiles of a block sum up: a tile takes a row of few terms, and all of them
// together a popular one, which would keep a tile busy long after all others. Only .cu files
// include it.

#include <cstdint>

#include "kernels/platform/execution.h"
#include "kernels/platform/qualifiers.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Groups of rows, a row for each tile of a block. 32 bits number the rows.
DERRD_HOST_DEVICE inline int row_groups(int64_t rows) {
  constexpr uint32_t kTiles = kBlockTiles;  // unsigned, so that a GPU shifts
  return static_cast<int>((static_cast<uint32_t>(rows) + kTiles - 1) / kTiles);
}

/// Sums up rows from `first` on, one for each tile of the block, but none from `after` on. Row r
/// has the terms offsets[r] .. offsets[r + 1] - 1. A row of fewer than `many` is its tile's:
///   own(row, begin, end)    adds all terms begin .. end - 1
/// The tiles share the others, where a block has several:
///   part(row, begin, end)   adds the tile's range of the terms into shared memory
///   finish(row)             adds the tiles' sums in order; the first tile alone calls it
/// Called by all of the block. Many terms are at least as many as tiles.
template <class Own, class Part, class Finish>
__device__ __forceinline__ void share_rows(const cg::thread_block& block,
                                           Vector<const int32_t> offsets, int first, int after,
                                           int many, Own&& own, Part&& part, Finish&& finish) {
  const auto rank = static_cast<int>(warp_tile().meta_group_rank());
  constexpr int kTiles = kBlockTiles;
  const int last = first + kTiles < after ? first + kTiles : after;
  if (const int row = first + rank; row < last) {
    const int begin = offsets[row], end = offsets[row + 1];
    if (kTiles == 1 || end - begin < many) own(row, begin, end);
  }
  if constexpr (kTiles > 1) {
    if (offsets[last] - offsets[first] < many) return;  // for all of the block
    for (int row = first; row < last; ++row) {
      const int begin = offsets[row], end = offsets[row + 1];
      if (end - begin < many) continue;
      const int range = (end - begin + kTiles - 1) / kTiles;
      const int from = begin + rank * range;
      part(row, from, from + range < end ? from + range : end);
      block.sync();
      if (rank == 0) finish(row);
      block.sync();  // before the next row's sums
    }
  }
}

}  // namespace derrd
