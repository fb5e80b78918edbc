#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/platform/gemm.h"

namespace derrd {

struct GemmShape {
  int64_t m, n, k;
};

/// @throws std::invalid_argument unless c [m, n] = op(a) [m, k] op(b) [k, n].
inline GemmShape gemm_shape(Matrix<float> c, Matrix<const float> a, Transpose transpose_a,
                            Matrix<const float> b, Transpose transpose_b) {
  const bool ta = transpose_a == Transpose::kYes;
  const bool tb = transpose_b == Transpose::kYes;
  const GemmShape s = {ta ? a.cols : a.rows, tb ? b.rows : b.cols, ta ? a.rows : a.cols};
  if (c.rows != s.m || c.cols != s.n || (tb ? b.cols : b.rows) != s.k) {
    const auto text = [](int64_t rows, int64_t cols) {
      return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
    };
    throw std::invalid_argument("gemm: " + text(c.rows, c.cols) + " = " + text(a.rows, a.cols) +
                                (ta ? "^T " : " ") + text(b.rows, b.cols) + (tb ? "^T" : "") +
                                " does not fit");
  }
  return s;
}

inline void check_grouped_gemm(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                               Transpose transpose_b, int64_t groups,
                               Vector<const int32_t> offsets) {
  const int64_t n = c.cols;
  const int64_t k = a.cols;
  const bool tb = transpose_b == Transpose::kYes;
  if (c.rows != a.rows || b.rows != groups * (tb ? n : k) || b.cols != (tb ? k : n) ||
      offsets.size != groups + 1) {
    throw std::invalid_argument("grouped_gemm: shapes do not fit");
  }
}

inline void check_grouped_gemm_accumulate(Matrix<float> c, Matrix<const float> a,
                                          Matrix<const float> b, int64_t groups,
                                          Vector<const int32_t> offsets) {
  if (a.rows != b.rows || c.rows != groups * a.cols || c.cols != b.cols ||
      offsets.size != groups + 1) {
    throw std::invalid_argument("grouped_gemm_accumulate: shapes do not fit");
  }
}

}  // namespace derrd
