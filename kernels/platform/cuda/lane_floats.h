#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace derrd {

constexpr int kTileLanes = 32;
constexpr int kLaneWidth = 1;

using LaneFloats = float;

__device__ __forceinline__ LaneFloats load_lanes(const float* from) { return *from; }
__device__ __forceinline__ LaneFloats load_lanes(const float* from, int64_t count) {
  return count >= kLaneWidth ? *from : 0.0f;
}
__device__ __forceinline__ void store_lanes(float* to, LaneFloats x, int64_t count) {
  if (count >= kLaneWidth) *to = x;
}
__device__ __forceinline__ void clear_lanes(float* at, LaneFloats held, int64_t count) {
  uint32_t bits;
  memcpy(&bits, &held, sizeof bits);
  if (count >= kLaneWidth && bits != 0) *at = 0.0f;  // -0 too
}
__device__ __forceinline__ LaneFloats spread(float x) { return x; }
__device__ __forceinline__ LaneFloats larger_of(LaneFloats a, LaneFloats b) {
  return a < b ? b : a;
}
__device__ __forceinline__ LaneFloats square_root(LaneFloats x) { return sqrtf(x); }

}  // namespace derrd
