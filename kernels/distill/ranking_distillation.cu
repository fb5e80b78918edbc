// Ranking Distillation: the teacher's first K items are as good as observed ones, weighed by their
// position and by how badly the student ranks them (Tang and Wang, KDD'18).
//
// For an anchor with scores r_0..r_{K-1} of the teacher's best and s_1..s_N of random negatives:
//   a_k    = e^{-k/lambda} / sum_j e^{-j/lambda}
//   c_k    = #{j : s_j > r_k},   rank_k = floor((I - 1) c_k / N)      the student's, estimated
//   w_k    = a_k max(0, tanh(mu (rank_k - k)))       dynamic;   w_k / sum w   if renormalised
//   loss   = sum_k w_k softplus(-r_k)
//   dL/dr_k = -w_k sigmoid(-r_k)                     dL/ds_j = 0: ranks are constants
//
// Shapes: score, grad_score [B', K + N], loss [B'], with B' distinct anchors in the batch.
// Mapping: a tile owns an anchor, its lanes stride over K; each counts its own c_k, reading the N
// negatives side by side with the others, so that one load serves the tile. The weights wait in
// grad_score for their sum; a lane reads what it wrote.
// Bytes: 8 (K + N) an anchor and 4 (K + N) of its samples; K N comparisons are the larger part.
//
// Traps. e^{-k/lambda} underflows for all k >= 1 if lambda is small, and with positions counted
// from 1 the sum would be 0: from 0 its first term is 1, and the geometric sum (1 - q^K) / (1 - q)
// loses no digit with expm1. rank_k is a quotient of integers: a float's floor is off by one where
// (I - 1) c_k / N is whole. softplus and sigmoid share e^-|r| <= 1, so nothing overflows.

#include "kernels/distill/ranking_distillation.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/common/elementary.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// Number of scores above `score` in the slots from `first` on that are not empty.
__device__ __forceinline__ int count_above(float score, const float* __restrict__ scores,
                                           const int32_t* __restrict__ samples, int64_t first,
                                           int64_t slots) {
  int above = 0;
  for (int64_t j = first; j < slots; ++j) {
    above += (samples[j] >= 0) & (scores[j] > score) ? 1 : 0;
  }
  return above;
}

__global__ void ranking_distillation_kernel(Vector<float> loss, Matrix<float> grad_score,
                                            Matrix<const float> score, SlotBatch batch,
                                            RankingDistillationOptions options,
                                            float first_weight) {
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const int64_t slots = score.cols;
  const int64_t top = options.top;
  const int64_t begin = batch.anchors.batch->begin;
  const int64_t count = batch.anchors.batch->count;
  const float share = anchor_share(options.reduction, count);
  const float factor = options.scale * share;

  for (const int64_t unit : units_of(tile, loss.size)) {
    if (unit >= count) {  // the same for all lanes
      if (lane == 0) loss[unit] = 0.0f;
      continue;
    }
    const int32_t* __restrict__ samples = batch.samples.row(batch.anchors.rows[begin + unit]);
    const float* __restrict__ scores = score.row(unit);
    float* __restrict__ grad = grad_score.row(unit);

    int64_t negatives = 0;
    for (int64_t j = top + lane; j < slots; j += lanes) {
      negatives += samples[j] >= 0 ? 1 : 0;
      grad[j] = 0.0f;
    }
    negatives = cg::reduce(tile, negatives, cg::plus<int64_t>());

    // The weights, in the gradient's memory.
    float sum = 0.0f;
    for (int64_t k = lane; k < top; k += lanes) {
      float weight = 0.0f;
      if (samples[k] >= 0) {
        weight = first_weight * expf(-static_cast<float>(k) / options.sharpness);
        if (options.weight != RankWeight::kStatic) {
          const int64_t above = count_above(scores[k], scores, samples, top, slots);
          const int64_t rank = negatives > 0 ? (options.items - 1) * above / negatives : 0;
          const float distance = static_cast<float>(rank > k ? rank - k : 0);
          weight *= tanhf(options.tolerance * distance);
        }
      }
      grad[k] = weight;
      sum += weight;
    }
    sum = cg::reduce(tile, sum, cg::plus<float>());
    const bool scaled = options.weight == RankWeight::kRenormalised && sum > 0.0f;
    const float unit_sum = scaled ? 1.0f / sum : 1.0f;

    float lane_loss = 0.0f;
    for (int64_t k = lane; k < top; k += lanes) {
      const bool present = samples[k] >= 0;
      const float r = present ? scores[k] : 0.0f;
      const float weight = grad[k] * unit_sum;
      const float e = exp_vectorized(r > 0.0f ? -r : r);
      lane_loss += weight * softplus_from(-r, e);
      grad[k] = present ? -weight * factor * sigmoid_from(-r, e) : 0.0f;
    }
    lane_loss = cg::reduce(tile, lane_loss, cg::plus<float>());
    if (lane == 0) loss[unit] = lane_loss * share;
  }
}

}  // namespace

void ranking_distillation(Vector<float> loss, Matrix<float> grad_score, Matrix<const float> score,
                          SlotBatch batch, const RankingDistillationOptions& options,
                          const Stream& stream) {
  constexpr const char* kName = "ranking_distillation";
  const int64_t slots = batch.samples.cols;
  require_scores(kName, loss, grad_score, score, batch);
  if (options.top < 0 || options.top > slots) {
    throw std::invalid_argument(std::string(kName) + ": the teacher's first " +
                                std::to_string(options.top) + " of " + std::to_string(slots) +
                                " slots");
  }
  const auto positive = [](float value) { return value > 0.0f && std::isfinite(value); };
  if (!positive(options.sharpness) || !positive(options.tolerance)) {
    throw std::invalid_argument(
        std::string(kName) + ": sharpness is " + std::to_string(options.sharpness) +
        ", tolerance " + std::to_string(options.tolerance) + "; both must be positive and finite");
  }
  if (loss.size == 0) return;
  const double decay = -1.0 / options.sharpness;
  const double sum = options.top == 0
                         ? 1.0
                         : std::expm1(static_cast<double>(options.top) * decay) / std::expm1(decay);
  constexpr int64_t kOperationsPerWeight = 60;
  const int64_t negatives = slots - options.top;
  launch(kName, tiles_for(loss.size, options.top * (kOperationsPerWeight + negatives / 8)), stream,
         ranking_distillation_kernel, loss, grad_score, score, batch, options,
         static_cast<float>(1.0 / sum));
}

}  // namespace derrd
