// The active pairs (entity, expert) of a gate's weights: as tau falls nearly every weight
// underflows to 0, from E pairs an entity to 1.3 late in training.
//
//   counts[m]     = number of entities n with s_nm != 0
//   offsets[m]    = counts[0] + ... + counts[m - 1]
//   of[m][n]      = offsets[m] + number of entities n' < n with s_n'm != 0   where s_nm != 0
//   of[m][n]      = -1                                                       elsewhere
//   entity[of[m][n]] = n,  expert[of[m][n]] = m
//
// Shapes: s [N, E].
// Mapping: to list them, a tile per expert, which scans its entities twice: for the counts, then
// for the positions. No sort, no atomics, so the order is fixed. To count them, a tile per entity;
// the sum of integers does not depend on the order of the tiles.
// Bytes: 8 N E read, 4 N E written and 8 per active pair; N E is 30,720 for a batch of 1024.

#include "kernels/distill/expert_pairs.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void count_by_expert_kernel(ExpertPairs pairs, Matrix<const float> selection,
                                       ActiveRows active) {
  const WarpTile tile = warp_tile();
  const int64_t entities = active.of(selection.rows);
  for (const int64_t m : units_of(tile, selection.cols)) {
    int32_t count = 0;
    for (int64_t n = tile.thread_rank(); n < entities; n += tile.size()) {
      count += selection.data[n * selection.cols + m] != 0;
    }
    count = cg::reduce(tile, count, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) pairs.counts[m] = count;
  }
}

__global__ void list_pairs_kernel(ExpertPairs pairs, Matrix<const float> selection,
                                  ActiveRows active) {
  const WarpTile tile = warp_tile();
  const int64_t entities = active.of(selection.rows);
  const int64_t experts = selection.cols;
  for (const int64_t m : units_of(tile, experts)) {
    int32_t begin = 0;
    for (int64_t e = tile.thread_rank(); e < m; e += tile.size()) begin += pairs.counts[e];
    begin = cg::reduce(tile, begin, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) {
      pairs.offsets[m] = begin;
      if (m + 1 == experts) pairs.offsets[experts] = begin + pairs.counts[m];
    }
    int32_t next = begin;
    for (int64_t first = 0; first < entities; first += tile.size()) {
      const int64_t n = first + tile.thread_rank();
      const int32_t is_active = n < entities && selection.data[n * experts + m] != 0;
      const int32_t up_to_own = cg::inclusive_scan(tile, is_active, cg::plus<int32_t>());
      const int32_t position = next + up_to_own - is_active;
      if (n < entities) pairs.of.row(m)[n] = is_active ? position : -1;
      if (is_active) {
        pairs.entity[position] = static_cast<int32_t>(n);
        pairs.expert[position] = static_cast<int32_t>(m);
      }
      next += tile.shfl(up_to_own, tile.size() - 1);
    }
  }
}

__global__ void count_pairs_kernel(PairCount* count, Matrix<const float> selection,
                                   ActiveRows active_rows) {
  const WarpTile tile = warp_tile();
  const int64_t rows = active_rows.of(selection.rows);
  int64_t active = 0;
  for (const int64_t n : units_of(tile, rows)) {
    const float* __restrict__ s = selection.row(n);
    for (int64_t m = tile.thread_rank(); m < selection.cols; m += tile.size()) active += s[m] != 0;
    if (n == 0 && tile.thread_rank() == 0) count->all += rows * selection.cols;
  }
  active = cg::reduce(tile, active, cg::plus<int64_t>());
  if (tile.thread_rank() == 0 && active != 0) atomic_add(count->active, active);
}

}  // namespace

void list_pairs(const ExpertPairs& pairs, Matrix<const float> selection, ActiveRows active,
                const Stream& stream) {
  constexpr const char* kName = "list_pairs";
  const int64_t entities = selection.rows;
  const int64_t experts = selection.cols;
  require_size(kName, "offsets", pairs.offsets, experts + 1);
  require_size(kName, "counts", pairs.counts, experts);
  require_size(kName, "entity", pairs.entity, selection.size());
  require_size(kName, "expert", pairs.expert, selection.size());
  require_shape(kName, "of", pairs.of, experts, entities);
  if (selection.size() == 0) return;
  launch("list_pairs_count", tiles_for(experts, entities), stream, count_by_expert_kernel, pairs,
         selection, active);
  launch(kName, tiles_for(experts, 2 * entities), stream, list_pairs_kernel, pairs, selection,
         active);
}

void count_pairs(PairCount* count, Matrix<const float> selection, ActiveRows active,
                 const Stream& stream) {
  if (selection.size() == 0) return;
  launch("count_pairs", tiles_for(selection.rows, selection.cols), stream, count_pairs_kernel,
         count, selection, active);
}

}  // namespace derrd
