#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

enum class Transpose { kNo, kYes };

struct GemmOptions {
  float beta =
      0.0f;  ///< 0: c is overwritten (its old content, even NaN, is not read); 1: accumulated
  /// Active rows of `a`. With `a` untransposed they limit the rows of the product, with `a`
  /// transposed the length of its sums. Inactive rows may or may not be computed: a transposed `a`
  /// is cleared.
  ActiveRows active = {};
  /// First row of `a` in a longer matrix whose active rows are counted, if `a` is a slice of one.
  int64_t first_row = 0;
};

/// Product: c [m, n] = op(a) [m, k] op(b) [k, n] + beta c, all row-major float32: cuBLAS (no TF32)
/// or CBLAS. The bits do not depend on the number of host threads.
/// @throws std::invalid_argument if the shapes do not fit.
void gemm(Matrix<float> c, Matrix<const float> a, Transpose transpose_a, Matrix<const float> b,
          Transpose transpose_b, GemmOptions options, const Stream& stream);

/// One product per group over rows sorted by group: rows [offsets[g], offsets[g + 1]) of `a` and
/// `c` belong to group g.
///   c[p] = a[p] op(b_g) + beta c[p],  with b [groups, k, n] ([groups, n, k] if transposed)
/// `offsets` [groups + 1] lies in device memory; rows from offsets[groups] on are not touched.
/// @throws std::invalid_argument if the shapes do not fit.
void grouped_gemm(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                  Transpose transpose_b, int64_t groups, Vector<const int32_t> offsets, float beta,
                  const Stream& stream);

/// Gradient of grouped_gemm by its matrices: c_g [k, n] += sum over the rows p of group g of
/// a[p]^T b[p]. c is [groups * k, n]; a [*, k]; b [*, n]. An empty group leaves its c as it is.
void grouped_gemm_accumulate(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                             int64_t groups, Vector<const int32_t> offsets, const Stream& stream);

}  // namespace derrd
