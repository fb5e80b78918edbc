#pragma once

#include <cstdint>
#include <limits>
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

/// Rows of group `g`, for kernels.
struct GroupRows {
  int64_t begin, count;
};
DERRD_HOST_DEVICE inline GroupRows rows_of(const GroupedProduct& product, int64_t g) {
  if (product.offsets.size == 0) return {0, product.a.rows};
  return {product.offsets[g], product.offsets[g + 1] - product.offsets[g]};
}

/// Number of groups.
DERRD_HOST_DEVICE inline int64_t groups_of(const GroupedProduct& product) {
  return product.offsets.size == 0 ? 1 : product.offsets.size - 1;
}

/// @throws std::invalid_argument if 32 bits do not number the elements of c, its groups' rows
/// padded to whole patches.
inline void check_elements(const char* operation, const GroupedProduct& product) {
  constexpr int64_t kPadding = 4;
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  const Matrix<float>& c = product.c;
  if ((c.rows + kPadding * groups_of(product)) <= kMax / (c.cols + kPadding)) return;
  throw std::invalid_argument(std::string(operation) + ": c of [" + std::to_string(c.rows) + ", " +
                              std::to_string(c.cols) + "] has more elements than 32 bits number");
}

/// @throws std::invalid_argument unless the shapes of grouped_gemm fit and 32 bits number c.
inline void check_grouped_gemm(const CallList<GroupedProduct>& products) {
  for (const GroupedProduct& product : products) {
    const auto& [c, a, b, offsets] = product;
    const int64_t groups = groups_of(product);
    if (c.rows != a.rows || b.matrix.rows != groups * (b.transposed ? c.cols : a.cols) ||
        b.matrix.cols != (b.transposed ? a.cols : c.cols) ||
        b.transposed != products[0].b.transposed) {
      throw std::invalid_argument("grouped_gemm: shapes do not fit");
    }
    check_elements("grouped_gemm", product);
  }
}

/// @throws std::invalid_argument unless the shapes of grouped_gemm_accumulate fit and 32 bits
/// number c.
inline void check_grouped_gemm_accumulate(const CallList<GroupedProduct>& products) {
  for (const GroupedProduct& product : products) {
    const auto& [c, a, b, offsets] = product;
    const int64_t groups = groups_of(product);
    if (b.transposed || a.rows != b.matrix.rows || c.rows != groups * a.cols ||
        c.cols != b.matrix.cols) {
      throw std::invalid_argument("grouped_gemm_accumulate: shapes do not fit");
    }
    check_elements("grouped_gemm_accumulate", product);
  }
}

}  // namespace derrd
