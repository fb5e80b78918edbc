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
// Mapping: a tile per expert and eighth of the entities, once for the counts and once more for the
// positions. No sort, no atomics, so the order is fixed.
// Bytes: 8 N E read, 4 N E written and 8 per active pair; N E is 30,720 for a batch of 1024.

#include "kernels/distill/expert_pairs.h"

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

__global__ void list_pairs_kernel(const __grid_constant__ CallList<PairListing> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const PairListing& call) { return call.pairs.counts.size; };
  for_each_unit(tile, calls, units, [&](const PairListing& call, int64_t unit) {
    const ExpertPairs& pairs = call.pairs;
    const PairPart part = pair_part(call, unit);
    const Matrix<const float> s = call.selection;
    int32_t next = 0;
    for (int64_t i = tile.thread_rank(); i < unit; i += tile.size()) next += pairs.counts[i];
    next = cg::reduce(tile, next, cg::plus<int32_t>());
    if (tile.thread_rank() == 0) {
      if (unit % ExpertPairs::kParts == 0) pairs.offsets[part.expert] = next;
      if (unit + 1 == pairs.counts.size) pairs.offsets[s.cols] = next + pairs.counts[unit];
    }
    for (int64_t first = part.begin; first < part.end; first += tile.size()) {
      const int64_t n = first + tile.thread_rank();
      const int32_t is_active = n < part.end && s.data[n * s.cols + part.expert] != 0;
      const int32_t up_to_own = cg::inclusive_scan(tile, is_active, cg::plus<int32_t>());
      const int32_t position = next + up_to_own - is_active;
      if (n < part.end) pairs.of.row(part.expert)[n] = is_active ? position : -1;
      if (is_active) {
        pairs.entity[position] = static_cast<int32_t>(n);
        pairs.expert[position] = static_cast<int32_t>(part.expert);
      }
      next += tile.shfl(up_to_own, tile.size() - 1);
    }
  });
}

}  // namespace

void list_pairs(const CallList<PairListing>& calls, const Stream& stream) {
  constexpr const char* kName = "list_pairs";
  int64_t entities = 0;
  for (const auto& [pairs, selection, active] : calls) {
    const int64_t experts = selection.cols;
    require_size(kName, "offsets", pairs.offsets, experts + 1);
    require_size(kName, "counts", pairs.counts, experts * ExpertPairs::kParts);
    require_size(kName, "entity", pairs.entity, selection.size());
    require_size(kName, "expert", pairs.expert, selection.size());
    require_shape(kName, "of", pairs.of, experts, selection.rows);
    entities += selection.size();
  }
  if (entities == 0) return;
  const int64_t units =
      total_units(calls, [](const PairListing& call) { return call.pairs.counts.size; });
  const int64_t elements = entities / units;
  launch("list_pairs_count", tiles_for(units, elements), stream, count_pairs_kernel, calls);
  launch(kName, tiles_for(units, 2 * elements), stream, list_pairs_kernel, calls);
}

}  // namespace derrd
