#pragma once

#include <cstdint>

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

/// Rows of the scratch memory that scale_columns_backward takes for batches of `rows` rows at most.
int64_t scale_columns_parts(int64_t rows);

/// Results of scale_columns_backward. A view.
struct ScaleColumnsGradients {
  Matrix<float> in;        ///< [rows, D] accumulated
  Vector<float> scale;     ///< [D] accumulated
  Matrix<float> partials;  ///< [scale_columns_parts(batch.capacity), D] scratch
};

/// Gradients of scale_columns_forward, where only the batch's rows have one:
///   in[row] += scale * grad_out[row],  scale += sum over these rows of grad_out * in,
/// the sum in a fixed order.
/// @param grad_out [rows, D]
/// @param batch the batch's distinct rows
/// @throws std::invalid_argument if the shapes do not fit.
void scale_columns_backward(const ScaleColumnsGradients& gradients, Matrix<const float> grad_out,
                            const ScaleColumnsCall& call, RowSegments batch, const Stream& stream);

}  // namespace derrd
