#pragma once

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A factor of a product: a matrix or its transpose. Converts from a matrix. A view.
struct Operand {
  Operand() = default;
  template <class T>
  Operand(Matrix<T> values, bool is_transposed = false)
      : matrix(values), transposed(is_transposed) {}

  int64_t rows() const { return transposed ? matrix.cols : matrix.rows; }
  int64_t cols() const { return transposed ? matrix.rows : matrix.cols; }

  Matrix<const float> matrix;
  bool transposed = false;
};

/// The transpose of `matrix` as a factor.
inline Operand transpose(Matrix<const float> matrix) { return {matrix, true}; }

struct GemmOptions {
  /// 0: c is overwritten (its old content, even NaN, is not read); 1: accumulated.
  float beta = 0.0f;
  /// Active rows of a's matrix. Untransposed, they limit the rows of the product; transposed, the
  /// length of its sums. Inactive rows may or may not be computed: a transposed matrix is cleared.
  ActiveRows active = {};
  /// First row of a's matrix in a longer one whose active rows are counted, if it is a slice.
  int64_t first_row = 0;
};

/// Product: c [m, n] = a [m, k] b [k, n] + beta c, all row-major float32: cuBLAS (no TF32) or
/// CBLAS. The bits do not depend on the number of host threads.
/// @throws std::invalid_argument if the shapes do not fit.
void gemm(Matrix<float> c, Operand a, Operand b, GemmOptions options, const Stream& stream);

/// Arguments of a product. A view.
struct Product {
  Matrix<float> c;
  Operand a, b;
  GemmOptions options = {};
};
/// Products in the order of the list. On a GPU those that are parts of a larger one, as their rows
/// lie behind one another in memory, are one launch, and so are small ones.
void gemm(const CallList<Product>& products, const Stream& stream);

/// One product per group over rows sorted by group: rows [offsets[g], offsets[g + 1]) of `a` and
/// `c` belong to group g. A view.
struct GroupedProduct {
  Matrix<float> c;                     ///< [*, n]
  Matrix<const float> a;               ///< [*, k]
  Operand b;                           ///< its matrix is [groups * k, n]; [groups * n, k] if each
                                       ///< b_g is transposed
  Vector<const int32_t> offsets = {};  ///< [groups + 1]; empty: all rows are a group
};

/// Products of the rows of each group: c[p] = a[p] b_g. Rows from offsets[groups] on are not
/// touched.
/// @throws std::invalid_argument if the shapes do not fit, or c has 2^31 elements or more.
void grouped_gemm(const CallList<GroupedProduct>& products, const Stream& stream);

/// Gradient of grouped_gemm by its matrices: c_g [k, n] += sum over the rows p of group g of
/// a[p]^T b[p]. Here c is [groups * k, n]; a [*, k]; b [*, n], not transposed. An empty group
/// leaves its c as it is.
/// @param products those that add to the same c are adjacent
/// @throws std::invalid_argument if the shapes do not fit, or c has 2^31 elements or more.
void grouped_gemm_accumulate(const CallList<GroupedProduct>& products, const Stream& stream);

}  // namespace derrd
