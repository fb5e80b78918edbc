#pragma once

// expf and logf as short polynomials without branches, calls or tables, so that a CPU's compiler
// turns a loop over a row into vector code (glibc's own are calls), and both backends draw Gumbel
// noise and softmax weights from the same formulas. Coefficients: Cephes (S. Moshier, expf.c and
// logf.c).

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/platform/execution.h"

namespace derrd {

/// The smallest normal float32. The functions below give 0 for what would be smaller.
constexpr float kSmallestNormal = std::numeric_limits<float>::min();

__device__ __forceinline__ float float_of_bits(int32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
__device__ __forceinline__ int32_t bits_of_float(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// e^x for x <= 88, within 3e-7 of it, relatively; exactly 0 where it would be subnormal (below
/// x = -87.336); 1 at 0; NaN for NaN. Source: x = n log 2 + f, |f| <= log(2)/2, e^f a polynomial.
__device__ __forceinline__ float exp_vectorized(float x) {
  constexpr float kUnderflow = -87.3365f;
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLog2High = 0.693359375f;
  constexpr float kLog2Low = -2.12194440e-4f;
  const float safe = x < kUnderflow ? 0.0f : x;
  const auto n = static_cast<int32_t>(safe * kLog2E + (safe < 0.0f ? -0.5f : 0.5f));
  const auto whole = static_cast<float>(n);
  const float f = multiply_add(whole, -kLog2Low, multiply_add(whole, -kLog2High, safe));
  float p = 1.9875691500e-4f;
  p = multiply_add(p, f, 1.3981999507e-3f);
  p = multiply_add(p, f, 8.3334519073e-3f);
  p = multiply_add(p, f, 4.1665795894e-2f);
  p = multiply_add(p, f, 1.6666665459e-1f);
  p = multiply_add(p, f, 5.0000001201e-1f);
  p = multiply_add(p, f * f, f) + 1.0f;
  const int32_t exponent = x < kUnderflow ? 0 : n + 127;  // 0 makes the factor 0
  return p * float_of_bits(static_cast<int32_t>(static_cast<uint32_t>(exponent) << 23));
}

/// log x for normal positive finite x, within 2e-7 of it, relatively; NaN for NaN. Source:
/// x = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), log(1 + f) a polynomial, so that values near 1
/// keep their relative accuracy.
__device__ __forceinline__ float log_vectorized(float x) {
  constexpr int32_t kBitsOfOne = 0x3f800000;
  constexpr int32_t kBitsOfRootHalf = 0x3f3504f3;
  constexpr float kLog2High = 0.693359375f;
  constexpr float kLog2Low = -2.12194440e-4f;
  const auto shifted = static_cast<int32_t>(static_cast<uint32_t>(bits_of_float(x)) +
                                            (kBitsOfOne - kBitsOfRootHalf));  // wraps for NaN
  const auto n = static_cast<float>((shifted >> 23) - 127);
  const float f = float_of_bits((shifted & 0x007fffff) + kBitsOfRootHalf) - 1.0f;
  const float square = f * f;
  float p = 7.0376836292e-2f;
  p = multiply_add(p, f, -1.1514610310e-1f);
  p = multiply_add(p, f, 1.1676998740e-1f);
  p = multiply_add(p, f, -1.2420140846e-1f);
  p = multiply_add(p, f, 1.4249322787e-1f);
  p = multiply_add(p, f, -1.6668057665e-1f);
  p = multiply_add(p, f, 2.0000714765e-1f);
  p = multiply_add(p, f, -2.4999993993e-1f);
  p = multiply_add(p, f, 3.3333331174e-1f);
  const float tail = multiply_add(p * f, square, multiply_add(n, kLog2Low, -0.5f * square));
  const float result = multiply_add(n, kLog2High, f + tail);
  return x != x ? x : result;
}

/// log(1 + e) for 0 <= e <= 1, relatively exact to float also where 1 + e rounds to 1: with
/// s = e / (2 + e) <= 1/3 it is 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...), and the first term left
/// out, s^15/15, is below 2e-8 of the sum. A call of log1pf costs as much as the row's product.
__device__ __forceinline__ float log_one_plus(float e) {
  const float twice = 2.0f * e / (2.0f + e);  // 2 s, a normal number whenever e is one
  const float q = 0.25f * twice * twice;
  float series = 1.0f / 13.0f;
  series = 1.0f / 11.0f + q * series;
  series = 1.0f / 9.0f + q * series;
  series = 1.0f / 7.0f + q * series;
  series = 1.0f / 5.0f + q * series;
  series = 1.0f / 3.0f + q * series;
  return twice + twice * q * series;
}

/// softplus(x) = log(1 + e^x) and sigmoid(x) = 1 / (1 + e^-x) for x of any size, both from
/// e = e^-|x| <= 1, of which one exponential serves a loss and its gradient.
__device__ __forceinline__ float softplus_from(float x, float e) {
  return (x > 0.0f ? x : 0.0f) + log_one_plus(e);
}
__device__ __forceinline__ float sigmoid_from(float x, float e) {
  return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

}  // namespace derrd
