#pragma once

#include <cstdint>
#include <cstring>

namespace derrd {

constexpr int kTileLanes = 1;
#if defined(__AVX512F__)
constexpr int kLaneWidth = 16;
#elif defined(__AVX__)
constexpr int kLaneWidth = 8;
#else
constexpr int kLaneWidth = 4;
#endif

typedef float LaneFloats __attribute__((vector_size(kLaneWidth * sizeof(float))));

inline LaneFloats load_lanes(const float* from) {
  LaneFloats x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
inline void store_lanes(float* to, LaneFloats x, int64_t count) {
  if (count >= kLaneWidth) {
    std::memcpy(to, &x, sizeof x);
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i] = x[i];
}
inline LaneFloats spread(float x) { return x + LaneFloats{}; }
inline LaneFloats larger_of(LaneFloats a, LaneFloats b) { return a < b ? b : a; }

}  // namespace derrd
