#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// Some adjacent columns of a matrix as a matrix of their own.

/// Copies columns: out[r] = in[r, first_column ...].
/// @param out [N, C] overwritten
/// @param in [N, >= first_column + C]
/// @throws std::invalid_argument if the shapes do not fit.
void copy_columns(Matrix<float> out, Matrix<const float> in, int64_t first_column,
                  const Stream& stream);

/// Adds the gradient of copy_columns: grad_in[r, first_column ...] += grad_out[r].
/// @param grad_in [N, >= first_column + C], C columns accumulated
/// @param grad_out [N, C]
/// @param active rows that have a gradient
/// @throws std::invalid_argument if the shapes do not fit.
void add_columns(Matrix<float> grad_in, Matrix<const float> grad_out, int64_t first_column,
                 ActiveRows active, const Stream& stream);

}  // namespace derrd
