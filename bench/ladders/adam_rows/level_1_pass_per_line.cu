// Level 1: dense Adam as it is printed, a kernel per line.
//
//   g += weight_decay p                           reads g and p, writes g    12 bytes an element
//   m += (1 - beta1) (g - m)                      reads m and g, writes m    12
//   v  = beta2 v + (1 - beta2) g^2                reads v and g, writes v    12
//   p -= step_size m / (sqrt(v) correction + e)   reads p, m, v, writes p    16
//   g  = 0                                        writes g                    4
//
// A framework without fused operations works so: every line goes through memory, for every row of
// the table, because every row moves at every step: its moments decay, and the L2 term acts.
//
// On an H200, R = 1e6 rows of D = 128, 20 steps: 2.6e9 updates of an element at 56 bytes are
// 143 GB, at the 4.3 TB/s of a copy. An update of 32 elements takes 95 of a warp's instructions,
// 7.6e9 in all at 1.05e12 a second: 7 ms, which hide behind it.
// Predicted: 33 ms, memory being the limit. At most 32 registers.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

namespace {

int64_t parts_of(int64_t n) { return (n + kLaneWidth - 1) / kLaneWidth; }

__global__ void decay_kernel(Vector<float> gradient, Vector<const float> value, float weight_decay,
                             int64_t parts) {
  for (const int64_t part : units_of(SingleThread{}, parts)) {
    const int64_t i = part * kLaneWidth;
    const int64_t count = value.size - i;
    const LaneFloats p = load_lanes(value.data + i, count);
    const LaneFloats g = load_lanes(gradient.data + i, count);
    store_lanes(gradient.data + i, multiply_add(spread(weight_decay), p, g), count);
  }
}

__global__ void first_moment_kernel(Vector<float> first_moment, Vector<const float> gradient,
                                    float one_minus_beta1, int64_t parts) {
  for (const int64_t part : units_of(SingleThread{}, parts)) {
    const int64_t i = part * kLaneWidth;
    const int64_t count = gradient.size - i;
    const LaneFloats g = load_lanes(gradient.data + i, count);
    const LaneFloats m = load_lanes(first_moment.data + i, count);
    store_lanes(first_moment.data + i, multiply_add(spread(one_minus_beta1), g - m, m), count);
  }
}

__global__ void second_moment_kernel(Vector<float> second_moment, Vector<const float> gradient,
                                     float beta2, float one_minus_beta2, int64_t parts) {
  for (const int64_t part : units_of(SingleThread{}, parts)) {
    const int64_t i = part * kLaneWidth;
    const int64_t count = gradient.size - i;
    const LaneFloats g = load_lanes(gradient.data + i, count);
    const LaneFloats v = load_lanes(second_moment.data + i, count);
    store_lanes(second_moment.data + i, multiply_add(spread(beta2), v, one_minus_beta2 * (g * g)),
                count);
  }
}

__global__ void value_kernel(Vector<float> value, Vector<const float> first_moment,
                             Vector<const float> second_moment, float epsilon, AdamHistory history,
                             int64_t parts) {
  const AdamCorrections corrections = history.corrections[history.position_of(*history.steps)];
  for (const int64_t part : units_of(SingleThread{}, parts)) {
    const int64_t i = part * kLaneWidth;
    const int64_t count = value.size - i;
    const LaneFloats p = load_lanes(value.data + i, count);
    const LaneFloats m = load_lanes(first_moment.data + i, count);
    const LaneFloats v = load_lanes(second_moment.data + i, count);
    const LaneFloats root =
        multiply_add(square_root(v), spread(corrections.inverse_root_correction), spread(epsilon));
    store_lanes(value.data + i, p - corrections.step_size * m / root, count);
  }
}

}  // namespace

void pass_per_line(const AdamEpoch& epoch, AdamOptions options, const Stream& stream) {
  constexpr const char* kName = "pass_per_line";
  require_valid(kName, epoch);
  const AdamFactors f = adam_factors(options);
  const Vector<float> p = epoch.table.value.flat();
  const Vector<float> m = epoch.table.first_moment.flat();
  const Vector<float> v = epoch.table.second_moment.flat();
  const Vector<float> g = epoch.table.gradient.flat();
  const int64_t parts = parts_of(p.size);
  const Geometry geometry = threads_for(parts, kLaneWidth);

  for (int64_t step = 0; step < epoch.read.rows; ++step) {
    train_on_rows(epoch.table, rows_of_step(epoch, step), stream);
    adam_advance(epoch.history, options, stream);
    if (p.size == 0) continue;
    launch(kName, geometry, stream, decay_kernel, g, p, f.weight_decay, parts);
    launch(kName, geometry, stream, first_moment_kernel, m, g, f.one_minus_beta1, parts);
    launch(kName, geometry, stream, second_moment_kernel, v, g, f.beta2, f.one_minus_beta2, parts);
    launch(kName, geometry, stream, value_kernel, p, m, v, f.epsilon, epoch.history, parts);
    fill_zero(g.data, g.size * static_cast<int64_t>(sizeof(float)), stream);
  }
}

}  // namespace derrd::ladder
