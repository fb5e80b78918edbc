#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Collaborative Distillation's targets (Lee et al., ICDM'19): target = sigmoid((t + t2) / t1) of
/// the teacher's scores t. Exact for scores of any size; -infinity gives 0.
/// @param target [rows, n], may be `teacher_score`. Overwritten.
/// @param teacher_score [rows, n]
/// @param t1 temperature, positive; t2 is added to every score before
/// @throws std::invalid_argument if the shapes do not fit or t1 is not positive.
void soft_targets(Matrix<float> target, Matrix<const float> teacher_score, float t1, float t2,
                  const Stream& stream);

/// Arguments of Collaborative Distillation's loss, over n slots an anchor. A view.
struct SoftTargetCall {
  Matrix<const float> score;   ///< [anchors.capacity, n], finite also where a slot is empty
  Matrix<const float> target;  ///< [anchor rows, n] in [0, 1], also where a slot is empty
  SlotBatch batch;
  float scale = 1.0f;  ///< factor of the gradient alone
};

/// Collaborative Distillation (Lee et al., ICDM'19) of the batch's anchors: the binary cross
/// entropy of the student's sigmoid(s) against soft targets q.
///   loss_u = sum over slots of softplus(s) - q s,   dloss_u / ds = sigmoid(s) - q
/// Exact for scores of any size.
/// @param loss [anchors.capacity] without scale; zero beyond the batch's anchors. Overwritten.
/// @param grad_score [anchors.capacity, n] scale * dL/dscore; zero for empty slots, rows beyond the
///   batch's anchors are left alone. Overwritten.
/// @throws std::invalid_argument if the shapes do not fit.
void soft_target_loss(Vector<float> loss, Matrix<float> grad_score, const SoftTargetCall& call,
                      const Stream& stream);

}  // namespace derrd
