#pragma once

#include <curand_philox4x32_x.h>

#include <cstdint>

namespace derrd {

struct Philox4 {
  uint32_t x, y, z, w;
};

__device__ __forceinline__ Philox4 philox_4x32_10(Philox4 counter, uint32_t key_low,
                                                  uint32_t key_high) {
  const uint4 bits = curand_Philox4x32_10(uint4{counter.x, counter.y, counter.z, counter.w},
                                          uint2{key_low, key_high});
  return {bits.x, bits.y, bits.z, bits.w};
}

__device__ __forceinline__ uint64_t multiply_high(uint64_t a, uint64_t b) {
  return __umul64hi(a, b);
}

}  // namespace derrd
