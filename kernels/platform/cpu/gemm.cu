#include "kernels/platform/gemm.h"

#include <cblas.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/platform/cpu/parallel.h"
#include "kernels/platform/device.h"
#include "kernels/platform/gemm_shapes.h"

namespace derrd {

namespace {

/// Rows or columns of c, of `length`, that one unit computes: by the shape alone, so that a
/// product's bits do not depend on the number of threads. Each strip packs the other operand anew,
/// which narrower ones feel; so there are four of a short product, and a product that keeps to its
/// thread is one.
int64_t strip_size(int64_t length) {
  constexpr int64_t kMax = 256;
  constexpr int64_t kMin = 64;
  constexpr int64_t kWanted = 4;
  if (cpu::within_chunk()) return length;
  return std::clamp((length + kWanted - 1) / kWanted, kMin, kMax);
}

CBLAS_TRANSPOSE blas_transpose(Operand x) { return x.transposed ? CblasTrans : CblasNoTrans; }

struct BlasProduct {
  Matrix<float> c;
  Operand a, b;
  GemmShape shape;
  float beta;
};

/// BLAS wants a leading dimension of at least 1, of an empty matrix too.
template <class T>
int leading_dimension(Matrix<T> m) {
  return static_cast<int>(std::max<int64_t>(1, m.cols));
}

/// Tells whether there is address space for this number of OpenBLAS's buffers.
bool fit(int buffers) {
  constexpr size_t kBuffer = (size_t{128} << 20) + (size_t{1} << 20);  // and what malloc adds
  std::vector<void*> maps;
  while (std::ssize(maps) < buffers) {
    void* const map =
        ::mmap(nullptr, kBuffer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) break;
    maps.push_back(map);
  }
  for (void* const map : maps) ::munmap(map, kBuffer);
  return std::ssize(maps) == buffers;
}

/// A call of OpenBLAS, as long as it lives. OpenBLAS keeps a buffer for each call at a time, and
/// where there is no address space for one it tries for ever. So where there is little, calls take
/// turns, with one buffer.
class BlasCall {
 public:
  BlasCall() {
    static const bool roomy = fit(2 * cpu::executor_info().threads);
    if (roomy) return;
    turn_ = std::unique_lock(turns);
    if (!has_buffer && !fit(1)) {
      throw DeviceError(
          "out of memory: a product needs 128 MB of address space; allow more with ulimit -v");
    }
    has_buffer = true;
  }

 private:
  static inline std::mutex turns;
  static inline bool has_buffer = false;
  std::unique_lock<std::mutex> turn_;
};

/// c[row .. row + rows, column .. column + columns].
void product_part(const BlasProduct& p, int64_t row, int64_t rows, int64_t column,
                  int64_t columns) {
  const Matrix<const float> a = p.a.matrix, b = p.b.matrix;
  const float* first_a = a.data + (p.a.transposed ? row : row * a.cols);
  const float* first_b = b.data + (p.b.transposed ? column * b.cols : column);
  const BlasCall call;
  cblas_sgemm(CblasRowMajor, blas_transpose(p.a), blas_transpose(p.b), static_cast<int>(rows),
              static_cast<int>(columns), static_cast<int>(p.shape.k), 1.0f, first_a,
              leading_dimension(a), first_b, leading_dimension(b), p.beta,
              p.c.data + row * p.c.cols + column, leading_dimension(p.c));
}

}  // namespace

void gemm(Matrix<float> c, Operand a, Operand b, GemmOptions options, const Stream& stream) {
  if (cpu::record([=, &stream] { gemm(c, a, b, options, stream); })) return;
  GemmShape shape = gemm_shape(c, a, b);
  if (options.active.count != nullptr && !cpu::strict_as_gpu()) {
    int64_t& limited = a.transposed ? shape.k : shape.m;
    limited = std::clamp<int64_t>(*options.active.count - options.first_row, 0, limited);
  }
  if (shape.m == 0 || shape.n == 0) return;
  const BlasProduct product = {c, a, b, shape, options.beta};
  const bool by_rows = shape.m >= shape.n;
  const int64_t length = by_rows ? shape.m : shape.n;
  const int64_t size = strip_size(length);
  const int64_t strips = (length + size - 1) / size;
  cpu::parallel_for(strips, shape.m * shape.n * shape.k / strips, [&](int64_t strip) {
    const int64_t begin = strip * size;
    const int64_t count = std::min(size, length - begin);
    if (by_rows) {
      product_part(product, begin, count, 0, shape.n);
    } else {
      product_part(product, 0, shape.m, begin, count);
    }
  });
}

void gemm(const CallList<Product>& products, const Stream& stream) {
  for (const auto& [c, a, b, options] : products) gemm(c, a, b, options, stream);
}

void grouped_gemm(const CallList<GroupedProduct>& products, const Stream& stream) {
  if (cpu::record([=, &stream] { grouped_gemm(products, stream); })) return;
  check_grouped_gemm(products);
  for (const GroupedProduct& product : products) {
    const int64_t groups = groups_of(product);
    const Matrix<float> c = product.c;
    const Matrix<const float> a = product.a, b = product.b.matrix;
    if (groups == 0 || c.size() == 0) continue;
    cpu::parallel_for(groups, c.rows / groups * c.cols * a.cols, [&](int64_t g) {
      const auto [begin, rows] = rows_of(product, g);
      if (rows == 0) return;
      const int64_t rows_of_b = b.rows / groups;
      const Operand b_g = {b.slice(g * rows_of_b, rows_of_b), product.b.transposed};
      const BlasProduct p = {
          c.slice(begin, rows), a.slice(begin, rows), b_g, {rows, c.cols, a.cols}, 0.0f};
      product_part(p, 0, rows, 0, c.cols);
    });
  }
}

void grouped_gemm_accumulate(const CallList<GroupedProduct>& products, const Stream& stream) {
  if (cpu::record([=, &stream] { grouped_gemm_accumulate(products, stream); })) return;
  check_grouped_gemm_accumulate(products);
  for (const GroupedProduct& product : products) {
    const int64_t groups = groups_of(product);
    const Matrix<const float> a = product.a, b = product.b.matrix;
    if (groups == 0 || product.c.size() == 0) continue;
    cpu::parallel_for(groups, a.rows / groups * b.cols * a.cols, [&](int64_t g) {
      const auto [begin, rows] = rows_of(product, g);
      if (rows == 0) return;
      const BlasProduct p = {product.c.slice(g * a.cols, a.cols),
                             transpose(a.slice(begin, rows)),
                             b.slice(begin, rows),
                             {a.cols, b.cols, rows},
                             1.0f};
      product_part(p, 0, a.cols, 0, b.cols);
    });
  }
}

}  // namespace derrd
