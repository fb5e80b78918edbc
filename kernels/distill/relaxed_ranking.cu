// Relaxed Ranking Distillation: match the order of the interesting items, and put them above the
// uninteresting ones whose order is ignored (DE-RRD, equations 9 and 10).
//
// For a user with scores r_1..r_K (interesting, in the teacher's order) and s_1..s_L:
//   z_k       = log( sum_{i >= k} e^{r_i} + sum_j e^{s_j} )
//   loss      = sum_k (z_k - r_k)
//   dL/dr_i   = sum_{k <= i} e^{r_i - z_k} - 1          dL/ds_j = sum_k e^{s_j - z_k}
//
// The trap: with one common maximum, a suffix of low scores underflows to log 0. The cure: each
// suffix keeps its own maximum M_k = max(r_k, M_{k+1}), from M_{K+1} = max_j s_j on, and its sum
// relative to it, E_k in [1, K + L]:
//   x_k = e^{-|r_k - M_{k+1}|}
//   r_k rises above M_{k+1}:  decay f_k = x_k, term t_k = 1;      else:  f_k = 1, t_k = x_k
//   E_k = E_{k+1} f_k + t_k,   z_k = M_k + log E_k
//   W_k = W_{k-1} f_{k-1} + 1 / E_k = sum_{m <= k} e^{M_k - z_m}
//   dL/dr_k = t_k W_k - 1,     dL/ds_j = e^{s_j - M_{K+1}} W_K f_K
// f_k = e^{M_{k+1} - M_k} serves both directions, so every score costs one exponential in any
// arrangement, every exponent is <= 0, and what underflows is below 1e-38 of the sum that it joins.
// E and W are linear recurrences: scans over affine maps, whose composition does not commute, hence
// ordered_inclusive_scan. A logarithm is taken of a product of eight sums (at most 512^8 = 5e21).
//
// Shapes: samples [U, K + L], loss [N], score and grad_score [N, K + L], with N distinct users in
// the batch. A tile owns a user, its lanes stride over the slots; loss and gradient come out of one
// pass. Bytes: 12 per slot, far below what its exponential costs on a CPU; on a GPU the scans'
// latency is the limit.

#include "kernels/distill/relaxed_ranking.h"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/elementary.h"
#include "kernels/common/tile_part.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr float kAbsent = std::numeric_limits<float>::lowest();  // score of an empty slot

/// x -> x * scale + add.
struct AffineMap {
  float scale;
  float add;
};
/// `first`, then `second`.
struct Compose {
  __device__ AffineMap operator()(AffineMap first, AffineMap second) const {
    return {first.scale * second.scale, first.add * second.scale + second.add};
  }
};

/// f_k and t_k in one number, since one of them is 1: the other one, x_k, with the sign bit set
/// where it is f_k (a zero x_k too).
struct Step {
  static constexpr int32_t kSignBit = std::numeric_limits<int32_t>::min();
  int32_t bits;

  __device__ explicit Step(float packed) : bits(bits_of_float(packed)) {}
  __device__ static float packed(float x, bool rises) {
    return float_of_bits(bits_of_float(x) | (rises ? kSignBit : 0));
  }
  __device__ float decay() const { return bits < 0 ? float_of_bits(bits & ~kSignBit) : 1.0f; }
  __device__ float term() const { return bits < 0 ? 1.0f : float_of_bits(bits); }
};

__global__ void relaxed_ranking_kernel(Vector<float> loss, Matrix<float> grad_score,
                                       RelaxedRankingCall call) {
  __shared__ SharedArray<float, kBlockTiles * kMaxRankingSamples> shared_score;
  __shared__ SharedArray<float, kBlockTiles*(kMaxRankingSamples + 1)> shared_peak;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const auto score = part_of(tile, shared_score);
  const auto peak = part_of(tile, shared_peak);
  const SlotBatch& batch = call.batch;
  const int64_t slots = batch.samples.cols;
  const int64_t interesting = call.interesting;
  const int64_t begin = batch.anchors.batch->begin;
  const int64_t count = batch.anchors.batch->count;
  const float share = anchor_share(call.reduction, count);
  const float factor = call.scale * share;

  for (const int64_t unit : units_of(tile, loss.size)) {
    if (unit >= count) {  // the same for all lanes
      if (lane == 0) loss[unit] = 0.0f;
      continue;
    }
    const int32_t* __restrict__ samples = batch.samples.row(batch.anchors.rows[begin + unit]);
    float* __restrict__ grad = grad_score.row(unit);
    // The interesting scores are kept backwards, so that suffixes become prefixes.
    const float* __restrict__ given = call.score.row(unit);
    for (int64_t slot = lane; slot < slots; slot += lanes) {
      score[slot < interesting ? interesting - 1 - slot : slot] =
          samples[slot] >= 0 ? given[slot] : kAbsent;
    }
    tile.sync();

    // M: the maximum of the uninteresting scores, then the running one; peak[p] is M before p.
    float maximum = kAbsent;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      maximum = score[j] > maximum ? score[j] : maximum;
    }
    maximum = cg::reduce(tile, maximum, cg::greater<float>());
    const float uninteresting_peak = maximum;
    if (lane == 0) peak[0] = maximum;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t p = base + lane;
      const float own = p < interesting ? score[p] : kAbsent;
      const float before = cg::inclusive_scan(tile, own, cg::greater<float>());
      const float running = before > maximum ? before : maximum;
      if (p < interesting) peak[p + 1] = running;
      maximum = tile.shfl(running, tile.size() - 1);
    }
    tile.sync();

    // f and t, in place of the scores, and the part of the loss that is M_k - r_k.
    const auto step = score;
    float lane_loss = 0.0f;
    for (int64_t p = lane; p < interesting; p += lanes) {
      const float gap = score[p] - peak[p];
      const bool present = score[p] != kAbsent;
      const bool rises = gap > 0.0f;
      const float x = exp_vectorized(rises ? -gap : gap);
      lane_loss += present & !rises ? -gap : 0.0f;
      step[p] = present ? Step::packed(x, rises) : 0.0f;  // decay 1, term 0
    }
    float sum = 0.0f;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      const float own = score[j];
      const float present = own != kAbsent ? 1.0f : 0.0f;
      const float term = exp_vectorized(own - uninteresting_peak) * present;
      score[j] = term;
      sum += term;
    }
    sum = cg::reduce(tile, sum, cg::plus<float>());
    tile.sync();

    // E, in place of the maxima.
    const auto total = peak;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t p = base + lane;
      const Step at = Step(p < interesting ? step[p] : 0.0f);
      const AffineMap own = {at.decay(), at.term()};
      const AffineMap steps = ordered_inclusive_scan(tile, own, Compose());
      const float running = sum * steps.scale + steps.add;
      if (p < interesting) total[p] = running;
      sum = tile.shfl(running, tile.size() - 1);
    }

    // log E, then 1 / E in its place; an empty slot has no z_k. Each lane reads what it wrote.
    const auto present_at = [&](int64_t p) { return samples[interesting - 1 - p] >= 0; };
    constexpr int64_t kFactors = 8;
    for (int64_t base = lane; base < interesting; base += kFactors * lanes) {
      float product = 1.0f;
      for (int64_t n = 0; n < kFactors; ++n) {
        const int64_t p = base + n * lanes;
        if (p < interesting && present_at(p)) product *= total[p];
      }
      lane_loss += logf(product);
    }
    for (int64_t p = lane; p < interesting; p += lanes) {
      total[p] = present_at(p) ? 1.0f / total[p] : 0.0f;
    }
    const float user_loss = cg::reduce(tile, lane_loss, cg::plus<float>());
    if (lane == 0) loss[unit] = user_loss * share;
    tile.sync();

    // W, from the first interesting item to the last, and the gradients.
    float weight = 0.0f;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t k = base + lane;
      const int64_t p = interesting - 1 - k;
      const float before = k > 0 && k < interesting ? Step(step[p + 1]).decay() : 1.0f;
      const AffineMap own = {before, k < interesting ? total[p] : 0.0f};
      const AffineMap steps = ordered_inclusive_scan(tile, own, Compose());
      const float running = weight * steps.scale + steps.add;
      if (k < interesting) {
        grad[k] = samples[k] >= 0 ? (Step(step[p]).term() * running - 1.0f) * factor : 0.0f;
      }
      weight = tile.shfl(running, tile.size() - 1);
    }
    const float weight_scale = interesting > 0 ? weight * Step(step[0]).decay() * factor : 0.0f;
    for (int64_t j = interesting + lane; j < slots; j += lanes) grad[j] = score[j] * weight_scale;
    tile.sync();  // before the next user's scores
  }
}

}  // namespace

void relaxed_ranking(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                     const Stream& stream) {
  constexpr const char* kName = "relaxed_ranking";
  const int64_t slots = call.batch.samples.cols;
  if (call.interesting < 0 || call.interesting > slots || slots > kMaxRankingSamples) {
    throw std::invalid_argument("relaxed_ranking: an anchor has " +
                                std::to_string(call.interesting) + " interesting slots of " +
                                std::to_string(slots) + "; at most " +
                                std::to_string(kMaxRankingSamples) + " are possible");
  }
  require_scores(kName, loss, grad_score, call.score, call.batch);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerScore = 30;
  launch(kName, tiles_for(loss.size, slots * kOperationsPerScore), stream, relaxed_ranking_kernel,
         loss, grad_score, call);
}

}  // namespace derrd
