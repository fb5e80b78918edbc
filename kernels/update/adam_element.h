#pragma once

// Adam for the floats of a lane: the same operations in the same order wherever it is called, so
// that an update made later, or in another kernel, gives the same bits. Every rounding is written
// down, and the files that include this are compiled without contraction of a * b + c. Only .cu
// files include it.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/update/adam.h"

namespace derrd {

/// The options as an update needs them, rounded once.
struct AdamFactors {
  float one_minus_beta1, beta2, one_minus_beta2, epsilon, weight_decay;
};

/// @throws std::invalid_argument unless the corrections' size is a power of two.
inline void require_ring(const char* operation, const AdamHistory& history) {
  const int64_t size = history.corrections.size;
  if (size > 0 && history.position_of(size) == 0) return;
  throw std::invalid_argument(std::string(operation) + ": corrections of " + std::to_string(size) +
                              " updates, expected a power of two");
}

inline AdamFactors adam_factors(const AdamOptions& options) {
  return {static_cast<float>(1.0 - options.beta1), static_cast<float>(options.beta2),
          static_cast<float>(1.0 - options.beta2), static_cast<float>(options.epsilon),
          static_cast<float>(options.weight_decay)};
}

/// Begins update t = ++*history.steps, by one tile: a lane for each of the two corrections, because
/// a power of doubles takes hundreds of instructions.
__device__ __forceinline__ void begin_update(const WarpTile& tile, AdamHistory history,
                                             const AdamOptions& options) {
  const int64_t t = *history.steps + 1;
  tile.sync();  // every lane has read the number
  AdamCorrections& corrections = history.corrections[history.position_of(t)];
  for (int64_t k = tile.thread_rank(); k < 2; k += tile.size()) {
    const double rest = 1.0 - pow(k == 0 ? options.beta1 : options.beta2, static_cast<double>(t));
    if (k == 0) {
      corrections.step_size = static_cast<float>(options.learning_rate / rest);
    } else {
      corrections.inverse_root_correction = static_cast<float>(1.0 / sqrt(rest));
    }
  }
  if (tile.thread_rank() == 0) *history.steps = t;
}

/// One update of parameters p with their moments m and v.
__device__ __forceinline__ void adam_update(LaneFloats& p, LaneFloats& m, LaneFloats& v,
                                            LaneFloats gradient, const AdamFactors& factors,
                                            const AdamCorrections& corrections) {
  const LaneFloats g = multiply_add(spread(factors.weight_decay), p, gradient);
  m = multiply_add(spread(factors.one_minus_beta1), g - m, m);
  v = multiply_add(spread(factors.beta2), v, factors.one_minus_beta2 * (g * g));
  const LaneFloats root = multiply_add(square_root(v), spread(corrections.inverse_root_correction),
                                       spread(factors.epsilon));
  p -= corrections.step_size * m / root;
}

}  // namespace derrd
