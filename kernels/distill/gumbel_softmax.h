#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/call_list.h"
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

/// Number of pairs (entity, expert), and number of those with a weight.
struct PairCount {
  int64_t active = 0;
  int64_t all = 0;

  double active_share() const { return all == 0 ? 1.0 : static_cast<double>(active) / all; }
};

/// One pass of the gate over a batch's entities: the same value for forward and backward. A view.
struct GumbelSoftmaxCall {
  /// [capacity, E]; inactive rows are not read. The backward pass reads nothing of it.
  Matrix<const float> logits;
  Vector<const float> bias = {};  ///< [E] added to the logits; empty: none
  /// Entities of the batch. Which rows of the table they are is read for `included` alone.
  RowSegments rows;
  GumbelOptions options = {};  ///< the backward pass does not read them
  /// Device memory: tau (any in [1e-10, 10]) and the epoch of the noise.
  const EpochState* epoch = nullptr;
  PairCount* pairs = nullptr;  ///< device memory; the forward pass adds the batch's pairs; or null
};

/// Forward pass of the gate. A view.
struct GumbelSoftmaxForward {
  Matrix<float> weight;  ///< [capacity, E] s, overwritten; 0 in inactive rows, where not included
  Matrix<float> probability;  ///< [capacity, E] alpha, overwritten; 0 in the same rows
  GumbelSoftmaxCall call;
};

/// Backward pass of the gate. A view.
struct GumbelSoftmaxBackward {
  Matrix<float> grad_logits;                ///< [capacity, E] overwritten; 0 in inactive rows
  Matrix<const float> grad_weight;          ///< [capacity, E]; must be finite where the weight is 0
  Matrix<const float> weight, probability;  ///< [capacity, E] that the forward pass left
  GumbelSoftmaxCall call;
};

/// Gate of Distillation Experts (DE-RRD, equation 5 and the relaxation of equation 7):
///   alpha = softmax(logits + bias),  s = softmax((log(alpha + 1e-10) + g) / tau),  g ~ Gumbel(0,
///   1)
/// The first rows.batch->count rows are active; E experts are the columns. Row i draws the noise of
/// element rows.batch->begin + i: expert m takes word m % 4 of the random bits of element
/// (begin + i) * ceil(E / 4) + m / 4.
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_forward(const CallList<GumbelSoftmaxForward>& calls, const Stream& stream);

/// Gradient of the gate by the logits. Experts whose weight became 0 take no part.
/// @throws std::invalid_argument if the shapes do not fit.
void gumbel_softmax_backward(const CallList<GumbelSoftmaxBackward>& calls, const Stream& stream);

}  // namespace derrd
