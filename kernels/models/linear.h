#pragma once

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

enum class Activation { kNone, kRelu };

/// One pass of a linear layer: the same value for forward and backward. A view.
struct LinearCall {
  Matrix<const float> in;      ///< [N, k]
  Matrix<const float> weight;  ///< [n, k]
  Vector<const float> bias;    ///< [n]; the backward pass does not read it
  Activation activation = Activation::kNone;
  ActiveRows active = {};  ///< rows of `in` and `out`
};

/// Results of a linear layer's backward pass. A view.
struct LinearGradients {
  Matrix<float> in = {};  ///< [N, k] overwritten; an empty view: not computed
  Matrix<float> weight;   ///< [n, k] accumulated
  Vector<float> bias;     ///< [n] accumulated
};

/// Gradient of a bias: bias += column sums of `grad_out`. A view.
struct BiasGradient {
  Vector<float> bias;            ///< [n] accumulated
  Matrix<const float> grad_out;  ///< [N, n]
  ActiveRows active = {};
};
/// Adds up the gradients of biases. Calls of one bias are adjacent and add up in their order.
/// @throws std::invalid_argument if the shapes do not fit.
void accumulate_bias(const CallList<BiasGradient>& calls, const Stream& stream);

/// Linear layer: out = activation(in weight^T + bias).
/// @param out [N, n] overwritten, cleared
/// @throws std::invalid_argument if the shapes do not fit.
void linear_forward(Matrix<float> out, const LinearCall& call, const Stream& stream);

/// Gradients of linear_forward.
/// @param grad_out [N, n] in: the gradient by `out`; on return: the gradient by the values before
///   the activation, cleared
/// @param out [N, n] of the forward pass; read for ReLU only
/// @throws std::invalid_argument if the shapes do not fit.
void linear_backward(const LinearGradients& gradients, Matrix<float> grad_out,
                     Matrix<const float> out, const LinearCall& call, const Stream& stream);

}  // namespace derrd
