#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/platform/cpu/operators.h"

#if defined(__AVX__)
#include <immintrin.h>
#endif

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

#if defined(__AVX512F__)
inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << std::max<int64_t>(0, count)) - 1);
}
#endif

inline LaneFloats load_lanes(const float* from) {
  LaneFloats x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
// The part behind a row's last whole vector is masked where the processor can do that: a copy of
// so few bytes would cost more than the arithmetic on them.
inline LaneFloats load_lanes(const float* from, int64_t count) {
  if (count >= kLaneWidth) return load_lanes(from);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
#else
  LaneFloats x = {};
  for (int64_t i = 0; i < count; ++i) x[i] = from[i];
  return x;
#endif
}
inline void store_lanes(float* to, LaneFloats x, int64_t count) {
  if (count >= kLaneWidth) {
    std::memcpy(to, &x, sizeof x);
    return;
  }
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, first_lanes(count), x);
#else
  for (int64_t i = 0; i < count; ++i) to[i] = x[i];
#endif
}
inline LaneFloats spread(float x) { return x + LaneFloats{}; }
inline void clear_lanes(float* at, const LaneFloats&, int64_t count) {
  store_lanes(at, spread(0.0f), count);
}
inline LaneFloats larger_of(LaneFloats a, LaneFloats b) { return a < b ? b : a; }

// The compiler turns neither of these into one instruction by itself.
inline LaneFloats multiply_add(LaneFloats a, LaneFloats b, LaneFloats c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  LaneFloats x;
  for (int i = 0; i < kLaneWidth; ++i) x[i] = multiply_add(a[i], b[i], c[i]);
  return x;
#endif
}
inline LaneFloats square_root(LaneFloats x) {
#if defined(__AVX512F__)
  constexpr __mmask16 kAll = 0xffff;  // the unmasked intrinsic warns of a variable within it
  return _mm512_maskz_sqrt_ps(kAll, x);
#elif defined(__AVX__)
  return _mm256_sqrt_ps(x);
#else
  for (int i = 0; i < kLaneWidth; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

}  // namespace derrd
