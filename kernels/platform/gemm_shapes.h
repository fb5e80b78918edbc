#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/platform/gemm.h"

namespace derrd {

struct GemmShape {
  int64_t m, n, k;
};

/// @throws std::invalid_argument unless c [m, n] = a [m, k] b [k, n].
inline GemmShape gemm_shape(Matrix<float> c, Operand a, Operand b) {
  const GemmShape s = {a.rows(), b.cols(), a.cols()};
  if (c.rows != s.m || c.cols != s.n || b.rows() != s.k) {
    const auto text = [](Operand x) {
      return "[" + std::to_string(x.matrix.rows) + ", " + std::to_string(x.matrix.cols) + "]" +
             (x.transposed ? "^T" : "");
    };
    throw std::invalid_argument("gemm: " + text(c) + " = " + text(a) + " " + text(b) +
                                " does not fit");
  }
  return s;
}

/// Number of groups.
/// @throws std::invalid_argument unless the shapes fit.
inline int64_t grouped_gemm_groups(Matrix<float> c, Matrix<const float> a, Operand b,
                                   Vector<const int32_t> offsets) {
  const int64_t groups = offsets.size - 1;
  const Matrix<const float> matrix = b.matrix;
  if (groups < 0 || c.rows != a.rows || matrix.rows != groups * (b.transposed ? c.cols : a.cols) ||
      matrix.cols != (b.transposed ? a.cols : c.cols)) {
    throw std::invalid_argument("grouped_gemm: shapes do not fit");
  }
  return groups;
}

/// Number of groups.
/// @throws std::invalid_argument unless the shapes fit.
inline int64_t grouped_gemm_accumulate_groups(Matrix<float> c, Matrix<const float> a,
                                              Matrix<const float> b,
                                              Vector<const int32_t> offsets) {
  const int64_t groups = offsets.size - 1;
  if (groups < 0 || a.rows != b.rows || c.rows != groups * a.cols || c.cols != b.cols) {
    throw std::invalid_argument("grouped_gemm_accumulate: shapes do not fit");
  }
  return groups;
}

}  // namespace derrd
