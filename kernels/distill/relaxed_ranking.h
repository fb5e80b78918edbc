#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Largest number of slots of an anchor (K + L): a tile keeps them in shared memory.
constexpr int64_t kMaxRankingSamples = 512;

/// Arguments of the relaxed ranking loss, over K + L slots an anchor. A view.
struct RelaxedRankingCall {
  Matrix<const float> score;  ///< [anchors.capacity, K + L], as slot_scores_forward leaves it
  SlotBatch batch;
  int64_t interesting = 0;  ///< K: the first slots are interesting, in the teacher's order
  float scale = 1.0f;       ///< factor of the gradient alone
  AnchorReduction reduction = AnchorReduction::kSum;
};

/// Relaxed Ranking Distillation (DE-RRD, equations 9 and 10) of the batch's anchors, which are
/// users in the paper:
///   loss_u = share * sum over k of log( sum_{i >= k} e^{r_i} + sum_j e^{s_j} ) - r_k
/// with share 1, or 1 / number of anchors, and the student's scores r of the K interesting slots
/// and s of the uninteresting ones. Exact for scores of any size and order. A step, from scores to
/// the gradients of the tables:
///
///   const SlotScoresCall slots = {.anchor_embedding = users,
///                                 .other_embedding = items,
///                                 .batch = batch,
///                                 .index = index};
///   slot_scores_forward(score, slots, stream);
///   relaxed_ranking(loss, grad_score,
///                   {.score = score, .batch = batch, .interesting = k, .scale = lambda}, stream);
///   slot_scores_backward(grad_users, grad_items, grad_score, slots, stream);
///
/// @param loss [anchors.capacity] without scale; zero beyond the batch's anchors. Overwritten.
/// @param grad_score [anchors.capacity, K + L] scale * dL/dscore; zero for empty slots, rows beyond
///   the batch's anchors are left alone. Overwritten.
/// @throws std::invalid_argument if the shapes do not fit or there are too many slots.
void relaxed_ranking(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                     const Stream& stream);

}  // namespace derrd
