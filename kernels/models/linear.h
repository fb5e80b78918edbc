#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

enum class Activation { kNone, kRelu };

/// A linear layer over the live rows: out = activation(in weight^T + bias).
///
/// @param out [N, n] overwritten; rows from *live_rows on become 0
/// @param in [N, k]; finite also from *live_rows on
/// @param weight [n, k], @param bias [n]
/// @param live_rows device memory, 0 .. N; null: all rows
/// @throws std::invalid_argument if the shapes do not fit.
void linear_forward(Matrix<float> out, Matrix<const float> in, Matrix<const float> weight,
                    Vector<const float> bias, Activation activation, const int32_t* live_rows,
                    const Stream& stream);

/// Its gradients.
///
/// @param grad_in [N, k] overwritten (rows from *live_rows on hold no result); empty view: not
///   computed
/// @param grad_weight [n, k] accumulated, @param grad_bias [n] accumulated
/// @param grad_out [N, n] in: the gradient by `out`; on return by the values before the activation,
///   rows from *live_rows on 0
/// @param in [N, k], @param out [N, n]: of the forward pass (`out` is read for ReLU only)
/// @throws std::invalid_argument if the shapes do not fit.
void linear_backward(Matrix<float> grad_in, Matrix<float> grad_weight, Vector<float> grad_bias,
                     Matrix<float> grad_out, Matrix<const float> in, Matrix<const float> out,
                     Matrix<const float> weight, Activation activation, const int32_t* live_rows,
                     const Stream& stream);

}  // namespace derrd
