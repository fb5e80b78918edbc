#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Noise of the gate, and which weights and entities take part.
struct GumbelOptions {
  uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kGumbelUsers;
  /// Weights below it become exactly 0; the others are not renormalised. With 0 only weights below
  /// float32's smallest normal number (1.2e-38) do.
  float floor = 0.0f;
  bool noise = true;  ///< false: g = 0, the attention of the paper's ablation
  /// Flags [rows of the entities' table]; empty: all take part. An entity with 0 has no weights and
  /// no gradient, as if the batch did not have it.
  Vector<const uint8_t> included = {};
};

/// One pass of the gate over a batch's entities: the same value for forward and backward. A view.
struct GumbelSoftmaxCall {
  /// [capacity, E]; inactive rows are not read. The backward pass reads nothing of it.
  Matrix<const float> logits;
  /// Entities of the batch. Which rows of the table they are is read for `included` alone.
  RowSegments rows;
  GumbelOptions options = {};  ///< the backward pass does not read them
  /// Device memory: tau (any in [1e-10, 10]) and the epoch of the noise.
  const EpochState* epoch = nullptr;
};

/// Gate of Distillation Experts (DE-RRD, equation 5 and the relaxation of equation 7):
///   alpha = softmax(logits),  s = softmax((log(alpha + 1e-10) + g) / tau),  g ~ Gumbel(0, 1)
/// The first rows.batch->count rows are active; E experts are the columns. Row i draws the noise of
/// element rows.batch->begin + i: expert m takes word m % 4 of the random bits of element
/// (begin + i) * ceil(E / 4) + m / 4.
///
/// @param weight [capacity, E] s, overwritten; 0 in inactive rows and where not included
/// @param probability [capacity, E] alpha, overwritten; 0 in the same rows
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_forward(Matrix<float> weight, Matrix<float> probability,
                            const GumbelSoftmaxCall& call, const Stream& stream);

/// Gradient of the gate by the logits, from what the forward pass left in `weight` and
/// `probability`. Experts whose weight became 0 take no part.
///
/// @param grad_logits [capacity, E] overwritten; 0 in inactive rows
/// @param grad_weight [capacity, E]; must be finite where the weight is 0
/// @param weight, probability [capacity, E]
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_backward(Matrix<float> grad_logits, Matrix<const float> grad_weight,
                             Matrix<const float> weight, Matrix<const float> probability,
                             const GumbelSoftmaxCall& call, const Stream& stream);

}  // namespace derrd
