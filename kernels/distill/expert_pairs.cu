// The active pairs (entity, expert) of a gate's weights: as tau falls nearly every weight
// underflows to 0, from E pairs an entity to 1.3 late in training.
//
//   counts[m]     = number of entities n with s_nm != 0
//   offsets[m]    = counts[0] + ... + counts[m - 1]
//   of[n][m]      = offsets[m] + number of entities n' < n with s_n'm != 0   where s_nm != 0
//   of[n][m]      = -1                                                       elsewhere
//   entity[p] = n,  expert[p] = m,  weight[p] = s_nm,  gathered[p] = rows[n]   for p = of[n][m]
//
// Shapes: s [N, E], rows [N, D].
// Mapping: a tile per expert and sixteenth of the entities, once for the counts and once more for
// the positions and the rows. No sort, no atomics, so the order is fixed.
// Bytes: 8 N E read, 4 N E written and 12 + 8 D per active pair; N E is 30,720 for a batch of 1024.

#include "kernels/distill/expert_pairs.h"

#include "kernels/common/row_lanes.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// Entities of the part `unit` % kParts of those of expert `unit` / kParts.
struct PairPart {
  int64_t expert, begin, end;
};
__device__ __forceinline__ PairPart pair_part(const PairListing& call, int64_t unit) {
  constexpr int64_t kParts = ExpertPairs::kParts;
  const int64_t entities = call.active.of(call.selection.rows);
  const int64_t part = unit % kParts;
  return {unit / kParts, entities * part / kParts, entities * (part + 1) / kParts};
}

__global__ void count_pairs_kernel(const __grid_constant__ CallList<PairListing> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const PairListing& call) { return call.pairs.counts.size; };
  for_each_unit(tile, calls, units, [&](const PairListing& call, int64_t unit) {
    const PairPart part = pair_part(call, unit);
    const Matrix<const float> s = call.selection;
    int32_t count = 0;
    for (int64_t n = part.begin + tile.thread_rank(); n < part.end; n += tile.size()) {
      count += s.data[n * s.cols + part.expert] != 0;
    }
    count = cg::reduce(tile, count, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) call.pairs.counts[unit] = count;
  });
}

/// An element of a row is a float or a quad.
template <class Element>
__global__ void list_pairs_kernel(const __grid_constant__ CallList<PairListing> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const PairListing& call) { return call.pairs.counts.size; };
  for_each_unit(tile, calls, units, [&](const PairListing& call, int64_t unit) {
    const ExpertPairs& pairs = call.pairs;
    const PairPart part = pair_part(call, unit);
    const Matrix<const float> s = call.selection;
    int32_t begin = 0;
    for (int64_t i = tile.thread_rank(); i < unit; i += tile.size()) begin += pairs.counts[i];
    begin = cg::reduce(tile, begin, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) {
      if (unit % ExpertPairs::kParts == 0) pairs.offsets[part.expert] = begin;
      if (unit + 1 == pairs.counts.size) pairs.offsets[s.cols] = begin + pairs.counts[unit];
    }
    int32_t next = begin;
    for (int64_t first = part.begin; first < part.end; first += tile.size()) {
      const int64_t n = first + tile.thread_rank();
      const float weight = n < part.end ? s.data[n * s.cols + part.expert] : 0.0f;
      const int32_t is_active = weight != 0;
      const int32_t up_to_own = cg::inclusive_scan(tile, is_active, cg::plus<int32_t>());
      const int32_t position = next + up_to_own - is_active;
      if (n < part.end) pairs.of.row(n)[part.expert] = is_active ? position : -1;
      if (is_active) {
        pairs.entity[position] = static_cast<int32_t>(n);
        pairs.expert[position] = static_cast<int32_t>(part.expert);
        pairs.weight[position] = weight;
      }
      next += tile.shfl(up_to_own, tile.size() - 1);
    }
    tile.sync();  // the entities have been written
    const RowLanes<Element> lanes(tile);
    const int cols = elements_in<Element>(call.rows.cols);
    for (int32_t p = begin + lanes.row; p < next; p += lanes.kRows) {
      Element* __restrict__ to = elements_of<Element>(call.gathered.row(p));
      const Element* __restrict__ from = elements_of<Element>(call.rows.row(pairs.entity[p]));
      for (int k = lanes.rank; k < cols; k += lanes.kLanes) to[k] = from[k];
    }
  });
}

}  // namespace

void list_pairs(const CallList<PairListing>& calls, const Stream& stream) {
  constexpr const char* kName = "list_pairs";
  int64_t entities = 0;
  bool quads = true;
  for (const auto& [pairs, gathered, rows, selection, active] : calls) {
    const int64_t experts = selection.cols;
    require_shape(kName, "gathered", gathered, selection.size(), rows.cols);
    require_shape(kName, "rows", rows, selection.rows, rows.cols);
    quads = quads && are_quads(rows.cols, {gathered.data, rows.data});
    require_size(kName, "offsets", pairs.offsets, experts + 1);
    require_size(kName, "counts", pairs.counts, experts * ExpertPairs::kParts);
    require_size(kName, "entity", pairs.entity, selection.size());
    require_size(kName, "expert", pairs.expert, selection.size());
    require_size(kName, "weight", pairs.weight, selection.size());
    require_shape(kName, "of", pairs.of, selection.rows, experts);
    entities += selection.size();
  }
  if (entities == 0) return;
  const int64_t units =
      total_units(calls, [](const PairListing& call) { return call.pairs.counts.size; });
  const int64_t elements = entities / units;
  launch("list_pairs_count", tiles_for(units, elements), stream, count_pairs_kernel, calls);
  launch(kName, tiles_for(units, 2 * elements), stream,
         quads ? list_pairs_kernel<Quad> : list_pairs_kernel<float>, calls);
}

}  // namespace derrd
