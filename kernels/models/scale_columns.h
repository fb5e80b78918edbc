#pragma once

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Scales columns: out[r, k] = in[r, k] * scale[k]. With it, a weighted inner product is a plain
/// one.
/// @param out, in [rows, D]; out overwritten
/// @param scale [D]
/// @throws std::invalid_argument if the shapes do not fit.
void scale_columns_forward(Matrix<float> out, Matrix<const float> in, Vector<const float> scale,
                           const Stream& stream);

/// Gradients of scale_columns_forward, where only the batch's rows have one:
///   grad_in[row] += scale * grad_out[row],  grad_scale += sum over the rows of grad_out * in.
/// @param grad_in [table rows, D], grad_scale [D]; accumulated
/// @param grad_out, in [table rows, D]
/// @throws std::invalid_argument if the shapes do not fit.
void scale_columns_backward(Matrix<float> grad_in, Vector<float> grad_scale,
                            Matrix<const float> grad_out, Matrix<const float> in,
                            Vector<const float> scale, RowSegments rows, const Stream& stream);

}  // namespace derrd
