#pragma once

// Rows of a list that a block sums up: a tile takes a row of few terms, or its groups of lanes one
// each, and all tiles together a popular one, which would keep a tile busy long after all others.
// Only .cu files include it.

#include <cstdint>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/platform/qualifiers.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Blocks' work units for `rows` rows, kRows for each tile. 32 bits number the rows.
template <int kRows>
DERRD_HOST_DEVICE inline int row_groups(int64_t rows) {
  constexpr uint32_t kAll = kBlockTiles * kRows;  // unsigned, so that a GPU shifts
  return static_cast<int>((static_cast<uint32_t>(rows) + kAll - 1) / kAll);
}

/// Rows begin .. end - 1 that work unit `group` of row_groups takes. A tile's rows are adjacent.
/// The block's tiles are far apart, as neighbours are often popular together.
template <int kRows>
struct BlockRows {
  int begin, end, group;

  /// Row number i, of tile i / kRows; `end` or more if there is none.
  __device__ int row(int i) const {
    return begin + (group + i / kRows * row_groups<kRows>(end - begin)) * kRows + i % kRows;
  }
};

/// Sums up a block's rows, kRows for each tile. Row r has the terms offsets[r] .. offsets[r + 1] -
/// 1. A row of fewer than `many` is its tile's, or its lanes' where a tile has several:
///   own(row, begin, end)    adds all terms begin .. end - 1
/// The tiles share the others, where a block has several:
///   part(row, begin, end)   adds the tile's range of the terms into shared memory
///   finish(row)             adds the tiles' sums in order; the first tile alone calls it
/// Called by all of the block. Many terms are at least as many as tiles.
template <int kRows, class Own, class Part, class Finish>
__device__ __forceinline__ void share_rows(const cg::thread_block& block,
                                           Vector<const int32_t> offsets,
                                           const BlockRows<kRows>& rows, int many, Own&& own,
                                           Part&& part, Finish&& finish) {
  const WarpTile tile = warp_tile();
  const auto rank = static_cast<int>(tile.meta_group_rank());
  const auto lane = static_cast<int>(tile.thread_rank());
  constexpr int kTiles = kBlockTiles;
  if (const int row = rows.row(rank * kRows + lane * kRows / kTileLanes); row < rows.end) {
    const int begin = offsets[row], end = offsets[row + 1];
    if (kTiles == 1 || end - begin < many) own(row, begin, end);
  }
  if constexpr (kTiles > 1) {
    static_assert(kTiles * kRows <= kTileLanes);  // a lane looks at each row
    const int seen = rows.row(lane);
    const bool is_popular =
        lane < kTiles * kRows && seen < rows.end && offsets[seen + 1] - offsets[seen] >= many;
    // The same in all tiles.
    for (unsigned popular = tile.ballot(is_popular), i = 0; popular != 0; ++i, popular >>= 1) {
      if ((popular & 1) == 0) continue;
      const int row = rows.row(static_cast<int>(i));
      const int begin = offsets[row], end = offsets[row + 1];
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
