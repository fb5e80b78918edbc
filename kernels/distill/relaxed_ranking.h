#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Largest number of slots of an anchor (K + L): a tile keeps them in shared memory.
constexpr int64_t kMaxRankingSamples = 512;

/// Relaxed Ranking Distillation (DE-RRD, equations 9 and 10) of the batch's anchors, which are
/// users in the paper:
///   loss_u = share * sum over k of log( sum_{i >= k} e^{r_i} + sum_j e^{s_j} ) - r_k
/// with share 1, or 1 / number of anchors, and the student's scores r of the K interesting slots,
/// the first ones, in rank order, and s of the uninteresting ones. Exact for scores of any size and
/// order.
/// A step, from scores to the gradients of the tables:
///
///   slot_scores_forward(score, users, items, batch, stream);
///   relaxed_ranking(loss, grad_score, score, batch, k, lambda, AnchorReduction::kSum, stream);
///   slot_scores_backward(grad_users, grad_items, grad_score, users, items, batch, index, stream);
///
/// @param loss [anchors.capacity] without scale; zero beyond the batch's anchors. Overwritten.
/// @param grad_score [anchors.capacity, K + L] scale * dL/dscore; zero for empty slots, rows beyond
///   the batch's anchors are left alone. Overwritten.
/// @param score [anchors.capacity, K + L] as slot_scores_forward leaves it
/// @param interesting K
/// @throws std::invalid_argument if shapes do not fit or there are too many slots.
void relaxed_ranking(Vector<float> loss, Matrix<float> grad_score, Matrix<const float> score,
                     SlotBatch batch, int64_t interesting, float scale, AnchorReduction reduction,
                     const Stream& stream);

}  // namespace derrd
