#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Weight of an item of the teacher's list in Ranking Distillation.
enum class RankWeight {
  kStatic,        ///< by its position in the list alone
  kDynamic,       ///< kStatic times how far the student ranks it too low
  kRenormalised,  ///< kDynamic scaled to a sum of 1 per anchor; 0 where all of an anchor's are 0
};

struct RankingDistillationOptions {
  int64_t top = 10;        ///< K: the first slots are the teacher's best, in rank order
  float sharpness = 1.0f;  ///< lambda: the weight of position k falls as exp(-k / lambda)
  float tolerance = 0.1f;  ///< mu: how fast the dynamic weight rises with the ranks' distance
  int64_t items = 0;       ///< I: estimated ranks are below it
  RankWeight weight = RankWeight::kStatic;
  float scale = 1.0f;  ///< factor of the gradient alone
  AnchorReduction reduction = AnchorReduction::kSum;
};

/// Ranking Distillation (Tang and Wang, KDD'18) of the batch's anchors: the teacher's first K are
/// relevant.
///   loss_u = share * sum over k = 0..K-1 of w_k softplus(-r_k)
///   static    w_k = exp(-k / lambda) / sum over all K positions
///   dynamic   w_k max(0, tanh(mu (rank_k - k))),  rank_k = floor((I - 1) c_k / N)
/// with share 1, or 1 / number of anchors, and c_k the number of the anchor's N present negatives
/// that the student scores above r_k; without negatives rank_k is 0. Weights are constants to the
/// gradient. Exact for scores of any size.
/// @param loss [anchors.capacity] without scale; zero beyond the batch's anchors. Overwritten.
/// @param grad_score [anchors.capacity, K + N] scale * dL/dscore; zero for the negatives and for
///   empty slots, rows beyond the batch's anchors are left alone. Overwritten.
/// @param score [anchors.capacity, K + N], read where a slot is not empty
/// @throws std::invalid_argument if the shapes do not fit, or sharpness or tolerance is not
///   positive and finite.
void ranking_distillation(Vector<float> loss, Matrix<float> grad_score, Matrix<const float> score,
                          SlotBatch batch, const RankingDistillationOptions& options,
                          const Stream& stream);

}  // namespace derrd
