#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

struct GumbelOptions {
  uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kGumbelUsers;
  /// Weights below it become exactly 0; the others are not renormalised. At 0 only those that
  /// float32 cannot hold as normal numbers (below 1.2e-38) do.
  float floor = 0.0f;
  bool noise = true;  ///< false: g = 0, the attention of the paper's ablation
  /// [rows of the entities' table], device memory; empty: all take part. Where it is 0 the entity
  /// has no weights and no gradient, as if the batch did not have it.
  Vector<const uint8_t> included = {};
};

/// Gate of Distillation Experts (DE-RRD, equation 5 and the relaxation of equation 7):
///   alpha = softmax(logits),  s = softmax((log(alpha + 1e-10) + g) / tau),  g ~ Gumbel(0, 1)
/// `rows.batch->count` rows of each matrix are active; E experts are the columns.
///
/// @param weight [capacity, E] s, overwritten; rows from count on and rows that are not included
///   become 0
/// @param probability [capacity, E] alpha, overwritten; the same rows become 0
/// @param logits [capacity, E]; rows from count on are not read
/// @param rows the active entities; which rows of the table they are is read for `included` only.
/// Row
///   i draws the noise of element rows.batch->begin + i, that is, expert m the (m % 4)-th word of
///   element (begin + i) * ceil(E / 4) + m / 4
/// @param epoch device memory: tau (any in [1e-10, 10]) and the epoch of the noise
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_forward(Matrix<float> weight, Matrix<float> probability,
                            Matrix<const float> logits, RowSegments rows, GumbelOptions options,
                            const EpochState* epoch, const Stream& stream);

/// Gradient of the gate by the logits, from what the forward pass left in `weight` and
/// `probability`. Experts whose weight became 0 take no part.
///
/// @param grad_logits [capacity, E] overwritten; rows from count on become 0
/// @param grad_weight [capacity, E]; must be finite where the weight is 0
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_backward(Matrix<float> grad_logits, Matrix<const float> grad_weight,
                             Matrix<const float> weight, Matrix<const float> probability,
                             RowSegments rows, const EpochState* epoch, const Stream& stream);

}  // namespace derrd
