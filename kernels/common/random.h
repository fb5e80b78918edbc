#pragma once

// Random numbers as a pure function of (seed, purpose, epoch, element, draw): counter-based, so
// that no state is stored, a resumed run draws what an uninterrupted one does, and both backends
// draw the same integers.
//
//   key     = seed (64 bits)
//   counter = (element low, element high, epoch, purpose << 24 | draw)

#include <cmath>
#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/philox.h"

namespace derrd {

/// 128 random bits; `draw` < 2^24 numbers the calls for one element.
__device__ __forceinline__ Philox4 random_bits(RandomKey key, uint64_t element, uint32_t draw = 0) {
  const Philox4 counter = {static_cast<uint32_t>(element), static_cast<uint32_t>(element >> 32),
                           key.epoch, static_cast<uint32_t>(key.purpose) << 24 | draw};
  return philox_4x32_10(counter, static_cast<uint32_t>(key.seed),
                        static_cast<uint32_t>(key.seed >> 32));
}

/// Uniform on the open interval (0, 1): the centres of 2^23 equal cells, each exact in float32, so
/// neither 0 nor 1 comes out.
__device__ __forceinline__ float uniform_open(uint32_t bits) {
  return (static_cast<float>(bits >> 9) + 0.5f) * 0x1p-23f;
}

/// Uniform on 0 .. n - 1 from 64 bits (multiply and shift): off by less than n 2^-64 from uniform.
__device__ __forceinline__ int64_t uniform_below(uint32_t high, uint32_t low, int64_t n) {
  const uint64_t bits = static_cast<uint64_t>(high) << 32 | low;
  return static_cast<int64_t>(multiply_high(bits, static_cast<uint64_t>(n)));
}

}  // namespace derrd
