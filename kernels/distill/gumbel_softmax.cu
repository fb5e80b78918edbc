// Gumbel-Softmax gate of Distillation Experts (DE-RRD, equations 5 and 7): from the gate's logits l
// to the weights s of an entity's E experts.
//
//   alpha = softmax(l + b)        z = log(alpha + 1e-10) + g            s = softmax(z / tau)
//
//   q_m = dL/dz_m = s_m sum_i s_i (G_m - G_i) / tau   with G = dL/ds
//   dL/dl_m = r_m q_m - alpha_m sum_i r_i q_i         with r = alpha / (alpha + 1e-10)
//
// Shapes: everything is [capacity, E], of which the batch's `count` rows are active.
// Threads: a tile owns an entity, its lanes stride the experts (forward: the quadruples of experts
// that share one Philox call, then the experts).
// Bytes: 12 N E forward, 16 N E backward. Arithmetic counts, not traffic: a Philox call per four
// experts, three logarithms and two exponentials per expert; on a CPU they must vectorise
// (kernels/common/elementary.h), about 10 ns per expert instead of 50.
//
// Traps. tau goes down to 1e-10: the largest z is subtracted before the division, so the quotients
// run from 0 down to -1e12 and underflow to weights of exactly 0. In the backward pass the factor
// 1 / tau multiplies every rounding error of a difference that should cancel; so G is taken
// relative to the G of the heaviest expert (the differences do not change), whose own terms are
// then exact zeros: with one expert left the gradient is exactly 0. No 1 / alpha occurs: r is at
// most 1.

#include "kernels/distill/gumbel_softmax.h"

#include "kernels/common/elementary.h"
#include "kernels/common/random.h"
#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr float kEpsilon = 1e-10f;
constexpr int64_t kWordsPerCall = 4;  ///< random words of a Philox call

/// Largest element of `row`, for all lanes; undefined if there is a NaN. Read as an integer (the
/// low bits of negative floats flipped) a float keeps its order, and the maximum of integers
/// vectorises.
__device__ __forceinline__ float row_maximum(const WarpTile& tile, const float* row, int64_t size) {
  const auto flip = [](int32_t bits) { return bits ^ ((bits >> 31) & 0x7fffffff); };
  int32_t top = flip(bits_of_float(-INFINITY));
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) {
    const int32_t key = flip(bits_of_float(row[k]));
    top = key > top ? key : top;
  }
  return float_of_bits(flip(cg::reduce(tile, top, cg::greater<int32_t>())));
}

/// out = softmax(in / tau), with 0 for weights below `floor`. `out` may be `in`.
__device__ __forceinline__ void softmax_row(const WarpTile& tile, float* out, const float* in,
                                            int64_t size, float tau, float floor) {
  const float top = row_maximum(tile, in, size);
  float sum = 0;
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) {
    const float e = exp_vectorized((in[k] - top) / tau);
    out[k] = e;
    sum += e;
  }
  sum = cg::reduce(tile, sum, cg::plus<float>());
  for (int64_t k = tile.thread_rank(); k < size; k += tile.size()) {
    const float share = out[k] / sum;
    out[k] = share < floor ? 0.0f : share;  // false for NaN, which stays
  }
}

/// row[m] = uniform number of expert m, from the bits of element `first_call` + m / 4.
__device__ __forceinline__ void uniform_row(const WarpTile& tile, float* row, int64_t size,
                                            RandomKey key, uint64_t first_call) {
  const int64_t calls = (size + kWordsPerCall - 1) / kWordsPerCall;
  for (int64_t call = tile.thread_rank(); call < calls; call += tile.size()) {
    const Philox4 bits = random_bits(key, first_call + static_cast<uint64_t>(call));
    const int64_t m = call * kWordsPerCall;
    row[m] = uniform_open(bits.x);
    if (m + 1 < size) row[m + 1] = uniform_open(bits.y);
    if (m + 2 < size) row[m + 2] = uniform_open(bits.z);
    if (m + 3 < size) row[m + 3] = uniform_open(bits.w);
  }
}

__global__ void gumbel_softmax_forward_kernel(
    const __grid_constant__ CallList<GumbelSoftmaxForward> passes) {
  const WarpTile tile = warp_tile();
  const auto units = [](const GumbelSoftmaxForward& pass) { return pass.weight.rows; };
  for_each_unit(tile, passes, units, [&](const GumbelSoftmaxForward& pass, int64_t n) {
    const GumbelSoftmaxCall& call = pass.call;
    const GumbelOptions& options = call.options;
    const BatchCursor* batch = call.rows.batch;
    const int64_t experts = pass.weight.cols;
    const auto philox_calls = static_cast<uint64_t>((experts + kWordsPerCall - 1) / kWordsPerCall);
    const RandomKey key = {options.seed, options.purpose, call.epoch->epoch};
    const float floor = options.floor > kSmallestNormal ? options.floor : kSmallestNormal;
    float* s = pass.weight.row(n);
    float* __restrict__ alpha = pass.probability.row(n);
    if (n == 0 && call.pairs != nullptr && tile.thread_rank() == 0) {
      atomic_add(call.pairs->all, batch->count * experts);  // passes may share it
    }
    if (n >= batch->count ||
        (options.included.size > 0 && options.included[call.rows.rows[batch->begin + n]] == 0)) {
      fill_row(tile, s, experts, 0.0f);
      fill_row(tile, alpha, experts, 0.0f);
      return;
    }
    const float* logits = call.logits.row(n);
    if (call.bias.size > 0) {
      for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
        alpha[m] = logits[m] + call.bias[m];
      }
      logits = alpha;
    }
    softmax_row(tile, alpha, logits, experts, 1.0f, 0.0f);
    if (options.noise) {
      // The row of s holds its uniform numbers, then the perturbed logarithms, then the weights.
      uniform_row(tile, s, experts, key, (static_cast<uint64_t>(batch->begin) + n) * philox_calls);
      tile.sync();
      float* __restrict__ own = s;  // from here on each lane keeps to its elements
      for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
        own[m] = log_vectorized(alpha[m] + kEpsilon) - log_vectorized(-log_vectorized(own[m]));
      }
    } else {
      for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
        s[m] = log_vectorized(alpha[m] + kEpsilon);
      }
    }
    softmax_row(tile, s, s, experts, call.epoch->temperature, floor);
    if (call.pairs == nullptr) return;
    int64_t active = 0;
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) active += s[m] != 0;
    active = cg::reduce(tile, active, cg::plus<int64_t>());
    if (tile.thread_rank() == 0) atomic_add(call.pairs->active, active);
  });
}

__global__ void gumbel_softmax_backward_kernel(
    const __grid_constant__ CallList<GumbelSoftmaxBackward> passes) {
  const WarpTile tile = warp_tile();
  const auto units = [](const GumbelSoftmaxBackward& pass) { return pass.weight.rows; };
  for_each_unit(tile, passes, units, [&](const GumbelSoftmaxBackward& pass, int64_t n) {
    const int64_t experts = pass.weight.cols;
    float* __restrict__ grad_l = pass.grad_logits.row(n);
    if (n >= pass.call.rows.batch->count) {
      fill_row(tile, grad_l, experts, 0.0f);
      return;
    }
    const float* grad_s = pass.grad_weight.row(n);
    const float* s = pass.weight.row(n);
    const float* alpha = pass.probability.row(n);

    const float top = row_maximum(tile, s, experts);
    int32_t heaviest = static_cast<int32_t>(experts) - 1;
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
      const auto candidate = static_cast<int32_t>(m);
      heaviest = s[m] == top && candidate < heaviest ? candidate : heaviest;
    }
    heaviest = cg::reduce(tile, heaviest, cg::less<int32_t>());
    const float reference = grad_s[heaviest];

    float total = 0;
    float mean = 0;
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
      total += s[m];
      mean += s[m] * (grad_s[m] - reference);
    }
    total = cg::reduce(tile, total, cg::plus<float>());
    mean = cg::reduce(tile, mean, cg::plus<float>());

    const float inverse_tau = 1.0f / pass.call.epoch->temperature;
    float sum = 0;
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
      const float difference = (grad_s[m] - reference) * total - mean;
      const float rq = alpha[m] / (alpha[m] + kEpsilon) * (s[m] * difference * inverse_tau);
      grad_l[m] = rq;
      sum += rq;
    }
    sum = cg::reduce(tile, sum, cg::plus<float>());
    for (int64_t m = tile.thread_rank(); m < experts; m += tile.size()) {
      grad_l[m] -= alpha[m] * sum;
    }
  });
}

/// Scalar operations per expert of a row, for the geometry.
constexpr int64_t kForwardOperations = 32;
constexpr int64_t kBackwardOperations = 8;

}  // namespace

void gumbel_softmax_forward(const CallList<GumbelSoftmaxForward>& passes, const Stream& stream) {
  constexpr const char* kName = "gumbel_softmax_forward";
  int64_t entities = 0;
  for (const auto& [weight, probability, call] : passes) {
    const int64_t rows = call.rows.capacity;
    const int64_t experts = call.logits.cols;
    require_shape(kName, "logits", call.logits, rows, experts);
    require_shape(kName, "weight", weight, rows, experts);
    require_shape(kName, "probability", probability, rows, experts);
    if (call.bias.size > 0) require_size(kName, "bias", call.bias, experts);
    entities += rows;
  }
  if (entities == 0) return;
  launch(kName, tiles_for(entities, passes[0].weight.cols * kForwardOperations), stream,
         gumbel_softmax_forward_kernel, passes);
}

void gumbel_softmax_backward(const CallList<GumbelSoftmaxBackward>& passes, const Stream& stream) {
  constexpr const char* kName = "gumbel_softmax_backward";
  int64_t entities = 0;
  for (const auto& [grad_logits, grad_weight, weight, probability, call] : passes) {
    const int64_t rows = call.rows.capacity;
    const int64_t experts = weight.cols;
    require_shape(kName, "grad_logits", grad_logits, rows, experts);
    require_shape(kName, "grad_weight", grad_weight, rows, experts);
    require_shape(kName, "weight", weight, rows, experts);
    require_shape(kName, "probability", probability, rows, experts);
    entities += rows;
  }
  if (entities == 0) return;
  launch(kName, tiles_for(entities, passes[0].weight.cols * kBackwardOperations), stream,
         gumbel_softmax_backward_kernel, passes);
}

}  // namespace derrd
