// Adam (Kingma and Ba, ICLR'15, algorithm 1) with coupled L2, dense: every parameter moves at every
// step, because its moments decay and the L2 term acts whether the batch touched it or not.
//
//   g  = gradient + weight_decay p
//   m += (1 - beta1) (g - m)
//   v  = beta2 v + (1 - beta2) g^2
//   p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
//   gradient = 0
//
// Shapes: p, m, v, gradient [n], a part of the parameters' arena. t and the two corrections lie in
// device memory (AdamHistory), so that a step's launches are the same every time.
//
// Mapping: a tile takes four times its lanes' elements, so that what a lane does once is shared by
// four; on the CPU a loop over the vectors of a chunk. A launch takes several parts of the arena.
//
// Bytes: 16 read and 12 written per element, and 4 more where there was a gradient to clear. About
// 12 flops: the limit is memory bandwidth (divider throughput when all of it sits in the CPU's
// caches). For the rows of embedding tables, of which a batch touches few, adam_rows.cu moves far
// fewer bytes to the same result.
//
// Trap: 1 - beta2 in float is off by 1e-5, 1 - beta^t by more while t is small: they are taken in
// double.

#include "kernels/update/adam.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/update/adam_element.h"

namespace derrd {

namespace {

__global__ void adam_advance_kernel(AdamHistory history, AdamOptions options) {
  const WarpTile tile = warp_tile();
  for ([[maybe_unused]] const int64_t once : units_of(tile, 1)) {
    begin_update(tile, history, options);
  }
}

constexpr int64_t kPart = int64_t{kTileLanes} * kLaneWidth;  // elements of a tile at a time
constexpr int kParts = kTileLanes > 1 ? 4 : 64;

DERRD_HOST_DEVICE inline int64_t units_in(const AdamParameters& parameters) {
  return (parameters.value.size + kParts * kPart - 1) / (kParts * kPart);
}

__global__ void adam_update_kernel(const __grid_constant__ CallList<AdamParameters> calls,
                                   AdamFactors factors, AdamHistory history) {
  const WarpTile tile = warp_tile();
  const AdamCorrections corrections = history.corrections[history.position_of(*history.steps)];
  for_each_unit(tile, calls, units_in, [&](const AdamParameters& parameters, int64_t unit) {
    float* __restrict__ p = parameters.value.data;
    float* __restrict__ m = parameters.first_moment.data;
    float* __restrict__ v = parameters.second_moment.data;
    float* __restrict__ grad = parameters.gradient.data;
    for (int j = 0; j < kParts; ++j) {
      const int64_t i = (unit * kParts + j) * kPart + tile.thread_rank() * kLaneWidth;
      const int64_t count = parameters.value.size - i;
      if (count <= 0) break;
      LaneFloats p_i = load_lanes(p + i, count);
      LaneFloats m_i = load_lanes(m + i, count);
      LaneFloats v_i = load_lanes(v + i, count);
      const LaneFloats grad_i = load_lanes(grad + i, count);
      adam_update(p_i, m_i, v_i, grad_i, factors, corrections);
      store_lanes(p + i, p_i, count);
      store_lanes(m + i, m_i, count);
      store_lanes(v + i, v_i, count);
      clear_lanes(grad + i, grad_i, count);
    }
  });
}

}  // namespace

void adam_advance(AdamHistory history, AdamOptions options, const Stream& stream) {
  require_ring("adam_advance", history);
  launch("adam_advance", tiles_for(1, 1), stream, adam_advance_kernel, history, options);
}

void adam_update(const CallList<AdamParameters>& calls, AdamOptions options, AdamHistory history,
                 const Stream& stream) {
  for (const auto& [value, first_moment, second_moment, gradient] : calls) {
    require_size("adam_update", "first_moment", first_moment, value.size);
    require_size("adam_update", "second_moment", second_moment, value.size);
    require_size("adam_update", "gradient", gradient, value.size);
  }
  const int64_t units = total_units(calls, units_in);
  if (units == 0) return;
  launch("adam_update", tiles_for(units, kParts * kPart), stream, adam_update_kernel, calls,
         adam_factors(options), history);
}

}  // namespace derrd
