#pragma once

// One pair's hidden layer, (entity, expert), in place: shared by the stacked and the routed
// experts. Only .cu files include it.

#include <cstdint>

#include "kernels/platform/execution.h"

namespace derrd {

/// Forward: W1 h becomes S = s relu(W1 h + b1).
__device__ __forceinline__ void activate_pair(const WarpTile& tile, float* __restrict__ weighted,
                                              const float* __restrict__ bias1, float s,
                                              int64_t hidden) {
  for (int64_t j = tile.thread_rank(); j < hidden; j += tile.size()) {
    const float z = weighted[j] + bias1[j];
    weighted[j] = z < 0 ? 0 : s * z;  // keeps NaN
  }
}

/// Backward: G becomes Z, s G where S > 0, else 0. Returns A . G = S . G / s.
__device__ __forceinline__ float activate_pair_backward(const WarpTile& tile,
                                                        float* __restrict__ grad,
                                                        const float* __restrict__ weighted, float s,
                                                        int64_t hidden) {
  float dot = 0;
  for (int64_t j = tile.thread_rank(); j < hidden; j += tile.size()) {
    dot += weighted[j] * grad[j];
    grad[j] = weighted[j] > 0 ? s * grad[j] : 0;
  }
  return cg::reduce(tile, dot, cg::plus<float>()) / s;
}

}  // namespace derrd
