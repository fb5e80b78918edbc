// Dense products by cuBLAS, and products per group of rows by a tiled kernel of our own, because
// the groups' sizes are known only to the device (cuBLAS wants them, and pointers, on the host).
//
//   grouped_gemm             c[p] = a[p] b_g + beta c[p]        for the rows p of group g
//   grouped_gemm_accumulate  c_g += sum over the rows p of group g of a[p]^T b[p]
//
// A block owns a 64 x 64 tile of c; each of its 256 threads a 4 x 4 part of it in registers: rows
// 4 ty .. 4 ty + 3, columns tx + 0, 16, 32, 48, so that neighbouring threads write neighbouring
// columns. It walks the depth (k, or the rows of the group) in steps of 16 through two tiles in
// shared memory, both stored depth-major and padded by one against bank conflicts. A tile of c has
// one owner and its sums one order: no atomics, the same bits every time.
//
// Bytes: each tile of a and b is read once per tile of c, so 32 multiply-adds per float loaded: at
// DE's shapes (43 rows a group, 110 x 200) the weights, read once, are the traffic.
//
// The launch is sized for the most tiles that the rows can make, `groups` + rows / 64; a block
// finds its group by walking the offsets, and the spare ones leave at once.

#include <cublas_v2.h>

#include "kernels/platform/cuda/check.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/gemm_shapes.h"

namespace derrd {

namespace {

constexpr int kTile = 64;     ///< rows and columns of c per block
constexpr int kDepth = 16;    ///< rows of the shared tiles
constexpr int kThreads = 16;  ///< per side of the block's 16 x 16 arrangement
constexpr int kPart = kTile / kThreads;
static_assert(kThreads * kThreads == cuda::kBlockThreads);
constexpr int kPitch = kTile + 1;

using SharedTile = SharedArray<float, kDepth * kPitch>;

/// Direction in which neighbouring threads load: along whatever is adjacent in global memory.
enum class Adjacent { kDepth, kAcross };

/// tile[d][x] = element(d, x) for 0 <= d < kDepth, 0 <= x < kTile; `element` is 0 outside.
template <Adjacent kAdjacent, class Element>
__device__ __forceinline__ void load_tile(SharedTile& tile, unsigned thread, Element element) {
#pragma unroll
  for (int i = 0; i < kDepth * kTile; i += kThreads * kThreads) {
    const int e = i + static_cast<int>(thread);
    const int d = kAdjacent == Adjacent::kDepth ? e % kDepth : e / kTile;
    const int x = kAdjacent == Adjacent::kDepth ? e / kDepth : e % kTile;
    tile[d * kPitch + x] = element(d, x);
  }
}

/// The thread's part of a_tile^T b_tile, added to `part`.
__device__ __forceinline__ void multiply_tiles(float (&part)[kPart][kPart], const SharedTile& a,
                                               const SharedTile& b, int ty, int tx) {
#pragma unroll
  for (int d = 0; d < kDepth; ++d) {
    float left[kPart];
    float right[kPart];
#pragma unroll
    for (int i = 0; i < kPart; ++i) left[i] = a[d * kPitch + ty * kPart + i];
#pragma unroll
    for (int j = 0; j < kPart; ++j) right[j] = b[d * kPitch + tx + j * kThreads];
#pragma unroll
    for (int i = 0; i < kPart; ++i) {
#pragma unroll
      for (int j = 0; j < kPart; ++j) part[i][j] += left[i] * right[j];
    }
  }
}

/// Adds the thread's part to, or stores it in, c [rows, cols] from element (row, column) on.
__device__ __forceinline__ void store_part(const float (&part)[kPart][kPart], Matrix<float> c,
                                           int64_t row, int64_t column, float beta, int ty,
                                           int tx) {
#pragma unroll
  for (int i = 0; i < kPart; ++i) {
    const int64_t r = row + ty * kPart + i;
#pragma unroll
    for (int j = 0; j < kPart; ++j) {
      const int64_t x = column + tx + j * kThreads;
      if (r < c.rows && x < c.cols) {
        float* out = c.row(r) + x;
        *out = beta == 0.0f ? part[i][j] : part[i][j] + beta * *out;
      }
    }
  }
}

/// Rows [begin, end) of group `group`; no rows if the tile's number is beyond the last.
struct RowTile {
  int64_t group = 0;
  int64_t begin = 0;
  int64_t end = 0;
};
__device__ __forceinline__ RowTile row_tile(Vector<const int32_t> offsets, int64_t number) {
  for (int64_t g = 0; g + 1 < offsets.size; ++g) {
    const int64_t begin = offsets[g];
    const int64_t rows = offsets[g + 1] - begin;
    const int64_t tiles = (rows + kTile - 1) / kTile;
    if (number < tiles) {
      const int64_t first = begin + number * kTile;
      return {g, first, rows - number * kTile < kTile ? begin + rows : first + kTile};
    }
    number -= tiles;
  }
  return {};
}

template <bool kTransposed>
__global__ void __launch_bounds__(kThreads* kThreads)
    grouped_gemm_kernel(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                        Vector<const int32_t> offsets, float beta, int64_t row_tiles) {
  __shared__ SharedTile a_tile;
  __shared__ SharedTile b_tile;
  const auto block = cg::this_thread_block();
  const unsigned thread = block.thread_rank();
  const int ty = static_cast<int>(thread) / kThreads;
  const int tx = static_cast<int>(thread) % kThreads;
  const int64_t depth = a.cols;
  const int64_t column_tiles = (c.cols + kTile - 1) / kTile;
  for (const int64_t unit : units_of(block, row_tiles * column_tiles)) {
    const RowTile rows = row_tile(offsets, unit / column_tiles);
    if (rows.begin == rows.end) continue;  // the same for the whole block
    const int64_t column = unit % column_tiles * kTile;
    const int64_t group_rows = kTransposed ? c.cols : depth;
    const Matrix<const float> matrix = b.slice(rows.group * group_rows, group_rows);
    float part[kPart][kPart] = {};
    for (int64_t k = 0; k < depth; k += kDepth) {
      block.sync();  // the last step's readers are done
      load_tile<Adjacent::kDepth>(a_tile, thread, [&](int d, int x) {
        return rows.begin + x < rows.end && k + d < depth ? a.row(rows.begin + x)[k + d] : 0.0f;
      });
      if constexpr (kTransposed) {
        load_tile<Adjacent::kDepth>(b_tile, thread, [&](int d, int x) {
          return column + x < c.cols && k + d < depth ? matrix.row(column + x)[k + d] : 0.0f;
        });
      } else {
        load_tile<Adjacent::kAcross>(b_tile, thread, [&](int d, int x) {
          return column + x < c.cols && k + d < depth ? matrix.row(k + d)[column + x] : 0.0f;
        });
      }
      block.sync();
      multiply_tiles(part, a_tile, b_tile, ty, tx);
    }
    store_part(part, {c.data, rows.end, c.cols}, rows.begin, column, beta, ty, tx);
  }
}

__global__ void __launch_bounds__(kThreads* kThreads)
    grouped_gemm_accumulate_kernel(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                                   int64_t groups, Vector<const int32_t> offsets) {
  __shared__ SharedTile a_tile;
  __shared__ SharedTile b_tile;
  const auto block = cg::this_thread_block();
  const unsigned thread = block.thread_rank();
  const int ty = static_cast<int>(thread) / kThreads;
  const int tx = static_cast<int>(thread) % kThreads;
  const int64_t row_tiles = (a.cols + kTile - 1) / kTile;
  const int64_t column_tiles = (b.cols + kTile - 1) / kTile;
  const int64_t tiles = row_tiles * column_tiles;
  for (const int64_t unit : units_of(block, groups * tiles)) {
    const int64_t g = unit / tiles;
    const int64_t row = unit % tiles / column_tiles * kTile;
    const int64_t column = unit % column_tiles * kTile;
    const int64_t end = offsets[g + 1];
    float part[kPart][kPart] = {};
    for (int64_t p = offsets[g]; p < end; p += kDepth) {
      block.sync();
      load_tile<Adjacent::kAcross>(a_tile, thread, [&](int d, int x) {
        return p + d < end && row + x < a.cols ? a.row(p + d)[row + x] : 0.0f;
      });
      load_tile<Adjacent::kAcross>(b_tile, thread, [&](int d, int x) {
        return p + d < end && column + x < b.cols ? b.row(p + d)[column + x] : 0.0f;
      });
      block.sync();
      multiply_tiles(part, a_tile, b_tile, ty, tx);
    }
    if (offsets[g] < end) {
      store_part(part, c.slice(g * a.cols, a.cols), row, column, 1.0f, ty, tx);
    }
  }
}

cublasOperation_t blas_transpose(Operand x) { return x.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

}  // namespace

void gemm(Matrix<float> c, Operand a, Operand b, GemmOptions options, const Stream& stream) {
  const GemmShape shape = gemm_shape(c, a, b);
  if (shape.m == 0 || shape.n == 0) return;
  const auto handle = static_cast<cublasHandle_t>(stream.blas());
  if (shape.k == 0) {  // an empty sum, which cuBLAS refuses for its leading dimension of 0
    if (options.beta == 0.0f) {
      fill_zero(c.data, c.size() * static_cast<int64_t>(sizeof(float)), stream);
    } else if (options.beta != 1.0f) {
      cuda::check(cublasSscal(handle, static_cast<int>(c.size()), &options.beta, c.data, 1),
                  "gemm");
    }
    return;
  }
  constexpr float kOne = 1.0f;
  // cuBLAS is column-major: it is asked for c^T = b^T a^T, whose memory is c's.
  cuda::check(
      cublasSgemm(handle, blas_transpose(b), blas_transpose(a), static_cast<int>(shape.n),
                  static_cast<int>(shape.m), static_cast<int>(shape.k), &kOne, b.matrix.data,
                  static_cast<int>(b.matrix.cols), a.matrix.data, static_cast<int>(a.matrix.cols),
                  &options.beta, c.data, static_cast<int>(c.cols)),
      "gemm");
  cuda::count_launch();
}

void grouped_gemm(Matrix<float> c, Matrix<const float> a, Operand b, Vector<const int32_t> offsets,
                  float beta, const Stream& stream) {
  const int64_t groups = grouped_gemm_groups(c, a, b, offsets);
  if (groups == 0 || c.size() == 0) return;
  const int64_t row_tiles = groups + c.rows / kTile;
  const int64_t column_tiles = (c.cols + kTile - 1) / kTile;
  const Geometry geometry = blocks_for(row_tiles * column_tiles, kTile * kTile * a.cols);
  const auto kernel = b.transposed ? grouped_gemm_kernel<true> : grouped_gemm_kernel<false>;
  launch("grouped_gemm", geometry, stream, kernel, c, a, b.matrix, offsets, beta, row_tiles);
}

void grouped_gemm_accumulate(Matrix<float> c, Matrix<const float> a, Matrix<const float> b,
                             Vector<const int32_t> offsets, const Stream& stream) {
  const int64_t groups = grouped_gemm_accumulate_groups(c, a, b, offsets);
  if (c.size() == 0) return;
  const int64_t tiles = ((a.cols + kTile - 1) / kTile) * ((b.cols + kTile - 1) / kTile);
  launch("grouped_gemm_accumulate", blocks_for(groups * tiles, kTile * kTile), stream,
         grouped_gemm_accumulate_kernel, c, a, b, groups, offsets);
}

}  // namespace derrd
