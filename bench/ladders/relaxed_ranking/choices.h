#pragma once

// The loss as K choices, one after the other, and its gradient as a mass that they hand on.
//
// Choice k picks item k among what is left, the interesting items from k on and the uninteresting
// ones, with probability
//   p_k = e^{r_k} / (sum_{i >= k} e^{r_i} + sum_j e^{s_j}),      loss = -sum_k log p_k
// In the gradient, each choice deals out a mass of 1 to what is left, by probability; so item k
// keeps the share p_k of all the mass that comes to it, and what it leaves goes on to k + 1:
//   V_k = 1 + (1 - p_{k-1}) V_{k-1},     dL/dr_k = p_k V_k - 1,
//   dL/ds_j = (1 - p_K) V_K e^{s_j} / sum_j' e^{s_j'}
// (p_k V_k is sum_{m <= k} e^{r_k - z_m}, with z_m as in kernels/distill/relaxed_ranking.cu,
// because e^{z_k - z_{k-1}} = 1 - p_{k-1}. What is left of a mass is the difference of it and what
// is kept: right to 1e-7 of the mass, not of the difference.)
//
// The sums run from the last choice to the first, relative to the suffix's own maximum M_k, so that
// no suffix of low scores underflows:
//   g_k = r_k - M_{k+1},  x_k = e^{-|g_k|}      the gap to what was the maximum: one exponential
//   g_k > 0 (item k is the new maximum):  E_k = E_{k+1} x_k + 1,   p_k = 1 / E_k
//   else:                                 E_k = E_{k+1} + x_k,     p_k = x_k / E_k
//   -log p_k = log E_k + max(0, -g_k)
//
// So three walks over a row in place, one number per item: scores -> gaps; gaps -> exponentials
// (any order); exponentials -> p (back); p -> gradients (forth). An empty slot stays kAbsent
// through all of them.

#include <cstdint>
#include <limits>

#include "bench/ladders/relaxed_ranking/arguments.h"
#include "kernels/common/elementary.h"

namespace derrd::ladder {

/// Scores to gaps, from M_{K+1} = `peak` on. Returns sum_k max(0, -g_k).
template <class Row>
__device__ __forceinline__ float walk_gaps(const Row& row, int64_t interesting, float peak) {
  float loss = 0.0f;
  for (int64_t k = interesting - 1; k >= 0; --k) {
    const float score = row[k];
    if (score == kAbsent) continue;
    const float gap = score - peak;
    loss += gap < 0.0f ? -gap : 0.0f;
    peak = score > peak ? score : peak;
    row[k] = gap;
  }
  return loss;
}

constexpr int32_t kSignBit = std::numeric_limits<int32_t>::min();

/// A gap's exponential x, with the sign bit set where the item is the new maximum, also if x is 0.
/// kAbsent stays kAbsent. No branch, so that a CPU's loop vectorises.
__device__ __forceinline__ float signed_exponential(float gap) {
  const int32_t sign = gap > 0.0f ? kSignBit : 0;
  const int32_t mark = gap == kAbsent ? bits_of_float(kAbsent) : sign;  // its exponential is 0
  return float_of_bits(bits_of_float(exp_vectorized(gap > 0.0f ? -gap : gap)) | mark);
}
/// An uninteresting score's e^{s - peak}.
__device__ __forceinline__ float uninteresting_term(float score, float peak) {
  return exp_vectorized(score - peak) * (score != kAbsent ? 1.0f : 0.0f);
}

/// Signed exponentials to probabilities, from E_{K+1} = `sum` on. Returns sum_k log E_k, with one
/// logarithm for the product of eight (at most 512^8 = 5e21).
template <class Row>
__device__ __forceinline__ float walk_choices(const Row& row, int64_t interesting, float sum) {
  constexpr int64_t kFactors = 8;
  float loss = 0.0f;
  float product = 1.0f;
  for (int64_t k = interesting - 1; k >= 0; --k) {
    const float x = row[k];
    if (x != kAbsent) {
      const bool rises = bits_of_float(x) < 0;
      sum = rises ? sum * -x + 1.0f : sum + x;
      product *= sum;
      row[k] = (rises ? 1.0f : x) / sum;
    }
    if (k % kFactors == 0) {
      loss += logf(product);
      product = 1.0f;
    }
  }
  return loss;
}

/// Probabilities to gradients. Returns the mass that is left for the uninteresting items.
template <class Row>
__device__ __forceinline__ float walk_masses(const Row& row, int64_t interesting) {
  float left = 0.0f;
  for (int64_t k = 0; k < interesting; ++k) {
    const float probability = row[k];
    const bool present = probability != kAbsent;
    const float mass = present ? left + 1.0f : left;
    const float kept = present ? probability * mass : 0.0f;
    row[k] = present ? kept - 1.0f : 0.0f;
    left = mass - kept;
  }
  return left;
}

}  // namespace derrd::ladder
