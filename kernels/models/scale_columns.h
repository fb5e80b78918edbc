#pragma once

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A table and the factor of each of its columns: the same value for forward and backward. A view.
struct ScaleColumnsCall {
  Matrix<const float> in;     ///< [rows, D]
  Vector<const float> scale;  ///< [D]
};

/// Scales columns: out[r, k] = in[r, k] * scale[k]. With it, a weighted inner product is a plain
/// one.
/// @param out [rows, D], overwritten
/// @throws std::invalid_argument if the shapes do not fit.
void scale_columns_forward(Matrix<float> out, const ScaleColumnsCall& call, const Stream& stream);

/// Gradients of scale_columns_forward, where only the batch's rows have one:
///   grad_in[row] += scale * grad_out[row],  grad_scale += sum over these rows of grad_out * in.
/// @param grad_in [rows, D], accumulated
/// @param grad_scale [D], accumulated
/// @param grad_out [rows, D]
/// @param batch the batch's distinct rows
/// @throws std::invalid_argument if the shapes do not fit.
void scale_columns_backward(Matrix<float> grad_in, Vector<float> grad_scale,
                            Matrix<const float> grad_out, const ScaleColumnsCall& call,
                            RowSegments batch, const Stream& stream);

}  // namespace derrd
