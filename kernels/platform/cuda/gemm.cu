// Dense products by cuBLAS, and products per group of rows by a tiled kernel of our own, because
// the groups' sizes are known only to the device (cuBLAS wants them, and pointers, on the host).
//
//   grouped_gemm             c[p] = a[p] b_g        for the rows p of group g
//   grouped_gemm_accumulate  c_g += sum over the rows p of group g of a[p]^T b[p]
//
// A block owns a 32 x 64 tile of c and walks the depth (k, or the rows of the group) in steps of 16
// through two tiles in shared memory, stored depth-major. Its 8 warps lie 2 x 4, each over 16 x 16
// elements; a lane holds 2 x 4 of them in registers and reads its 2 + 4 factors in two loads. A
// warp without elements of c skips the products, so that 43 rows and 110 columns cost those of 48
// and 112. The next step's elements are on their way from memory while this one's are multiplied.
// A tile of c has one owner and its sums one order: no atomics, the same bits every time.
//
// Columns behind the last row or column of a tile are read from the last one and never stored;
// depth behind the last is 0. So the inner loop has no bounds to check, and indices within a group
// are of 32 bits.
//
// Banks: rows of the shared tiles are padded by 4 floats. Lanes that walk along the depth, 8 by 4,
// write to 32 banks, and a row stays aligned for loads of 16 bytes.
//
// Bytes: each tile of a and b is read once per tile of c: at DE's shapes (43 rows a group, 110 x
// 200) the weights, read twice, are the traffic.
//
// The launch is sized for the rows' capacity and at most for the blocks that the device holds. The
// first warp of a block finds the group of its tile in the offsets; behind the last tile the block
// ends.

#include <cublas_v2.h>

#include <algorithm>

#include "kernels/platform/call_units.h"
#include "kernels/platform/cuda/check.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/gemm_shapes.h"

namespace derrd {

namespace {

constexpr int kRows = 32;     ///< of c per block
constexpr int kColumns = 64;  ///< of c per block
constexpr int kDepth = 16;    ///< rows of the shared tiles
constexpr int kPadding = 4;
constexpr int kWarp = 16;  ///< rows and columns of c per warp
constexpr int kPartRows = 2, kPartColumns = 4;
constexpr int kWarpRows = kRows / kWarp;            ///< warps above one another
constexpr int kLanesAcross = kWarp / kPartColumns;  ///< lanes beside one another
static_assert(kRows * kColumns == kPartRows * kPartColumns * cuda::kBlockThreads);
static_assert(kWarp * kWarp == kPartRows * kPartColumns * 32);

/// Direction in which a factor's elements are adjacent in memory.
enum class Adjacent { kDepth, kAcross };

/// A factor of a tile's product: element (d, x) is data[d + x * pitch] or data[d * pitch + x].
struct Factor {
  const float* data;
  int pitch;
  int width;  ///< x of the tile's elements is below it
};

/// kDepth x kWidth elements of a factor: on their way in registers, and in shared memory.
template <int kWidth, Adjacent kAdjacent>
class FactorTile {
 public:
  struct alignas(16) Shared {
    float row[kDepth][kWidth + kPadding];
  };

  __device__ __forceinline__ FactorTile(const Factor& factor, int thread) {
    step_ = kAdjacent == Adjacent::kDepth ? kDepth : kDepth * factor.pitch;
#pragma unroll
    for (int i = 0; i < kFloats; ++i) {
      const int x = min(x_of(i, thread), factor.width - 1);
      const int d = d_of(i, thread);
      from_[i] = factor.data +
                 (kAdjacent == Adjacent::kDepth ? d + x * factor.pitch : d * factor.pitch + x);
    }
  }
  /// Loads the next kDepth rows, of which `depth` exist.
  __device__ __forceinline__ void load(int depth, int thread) {
#pragma unroll
    for (int i = 0; i < kFloats; ++i) {
      value_[i] = d_of(i, thread) < depth ? *from_[i] : 0.0f;
      from_[i] += step_;
    }
  }
  __device__ __forceinline__ void store(Shared& tile, int thread) const {
#pragma unroll
    for (int i = 0; i < kFloats; ++i) tile.row[d_of(i, thread)][x_of(i, thread)] = value_[i];
  }

 private:
  static constexpr int kFloats = kDepth * kWidth / cuda::kBlockThreads;
  static constexpr int kAlong = 8;  ///< floats of a 32-byte sector, along the depth

  static __device__ __forceinline__ int x_of(int i, int thread) {
    constexpr int kPasses = kDepth / kAlong;
    return kAdjacent == Adjacent::kDepth
               ? thread / kAlong + i / kPasses * (cuda::kBlockThreads / kAlong)
               : thread % kWidth;
  }
  static __device__ __forceinline__ int d_of(int i, int thread) {
    constexpr int kPasses = kDepth / kAlong;
    return kAdjacent == Adjacent::kDepth ? thread % kAlong + i % kPasses * kAlong
                                         : thread / kWidth + i * (cuda::kBlockThreads / kWidth);
  }

  const float* from_[kFloats];
  float value_[kFloats];
  int step_;
};

/// Sums of a block's tile of c, and where they lie in it.
template <Adjacent kAdjacentA, Adjacent kAdjacentB>
class TileProduct {
 public:
  using A = FactorTile<kRows, kAdjacentA>;
  using B = FactorTile<kColumns, kAdjacentB>;
  struct Shared {
    typename A::Shared a;
    typename B::Shared b;
  };

  __device__ __forceinline__ explicit TileProduct(const cg::thread_block& block)
      : thread_(static_cast<int>(block.thread_rank())) {
    const int warp = thread_ / 32;
    const int lane = thread_ % 32;
    warp_row_ = warp % kWarpRows * kWarp;
    warp_column_ = warp / kWarpRows * kWarp;
    row_ = warp_row_ + lane / kLanesAcross * kPartRows;
    column_ = warp_column_ + lane % kLanesAcross * kPartColumns;
  }

  /// Adds the sum over d < depth of a(d, row) b(d, column).
  __device__ __forceinline__ void add(Shared& shared, const Factor& a, const Factor& b, int depth,
                                      const cg::thread_block& block) {
    const bool idle = warp_row_ >= a.width || warp_column_ >= b.width;
    A a_tile(a, thread_);
    B b_tile(b, thread_);
    a_tile.load(depth, thread_);
    b_tile.load(depth, thread_);
    for (int left = depth; left > 0; left -= kDepth) {
      block.sync();  // the last step's readers are done
      a_tile.store(shared.a, thread_);
      b_tile.store(shared.b, thread_);
      block.sync();
      a_tile.load(left - kDepth, thread_);
      b_tile.load(left - kDepth, thread_);
      if (idle) continue;
      constexpr int kHalf = kDepth / 2;
      multiply<0, kHalf>(shared);
      if (left > kHalf) multiply<kHalf, kDepth>(shared);
    }
  }

  /// Calls f(row, column, sum) for the thread's elements within rows x columns.
  template <class Function>
  __device__ __forceinline__ void for_each(int rows, int columns, Function f) const {
#pragma unroll
    for (int i = 0; i < kPartRows; ++i) {
      if (row_ + i >= rows) break;
#pragma unroll
      for (int j = 0; j < kPartColumns; ++j) {
        if (column_ + j < columns) f(row_ + i, column_ + j, sum_[i][j]);
      }
    }
  }

 private:
  template <int kBegin, int kEnd>
  __device__ __forceinline__ void multiply(const Shared& shared) {
#pragma unroll
    for (int d = kBegin; d < kEnd; ++d) {
      const float2 a = *reinterpret_cast<const float2*>(&shared.a.row[d][row_]);
      const float4 b = *reinterpret_cast<const float4*>(&shared.b.row[d][column_]);
      const float left[kPartRows] = {a.x, a.y};
      const float right[kPartColumns] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < kPartRows; ++i) {
#pragma unroll
        for (int j = 0; j < kPartColumns; ++j) sum_[i][j] += left[i] * right[j];
      }
    }
  }

  float sum_[kPartRows][kPartColumns] = {};
  int thread_, warp_row_, warp_column_, row_, column_;
};

/// Up to kRows rows of a group of a product, from `begin` on; none behind the last tile.
struct RowTile {
  int32_t product, group, begin, rows;
};

/// Finds the tile `number` of all products' row tiles. Called by one warp.
__device__ __forceinline__ void find_row_tile(RowTile& found,
                                              const CallList<GroupedProduct>& products,
                                              int32_t number, const WarpTile& tile) {
  int32_t before = 0;  // tiles of the groups before
  for (int32_t i = 0; i < products.count; ++i) {
    const auto groups = static_cast<int32_t>(groups_of(products[i]));
    for (int32_t first = 0; first < groups; first += 32) {
      const int32_t g = first + static_cast<int32_t>(tile.thread_rank());
      const GroupRows own = g < groups ? rows_of(products[i], g) : GroupRows{0, 0};
      const auto begin = static_cast<int32_t>(own.begin);
      const auto rows = static_cast<int32_t>(own.count);
      const int32_t tiles = (rows + kRows - 1) / kRows;
      const int32_t end = before + cg::inclusive_scan(tile, tiles, cg::plus<int32_t>());
      if (number >= end - tiles && number < end) {
        const int32_t row = (number - (end - tiles)) * kRows;
        found = {i, g, begin + row, min(rows - row, kRows)};
      }
      before = tile.shfl(end, 31);
      if (number < before) return;
    }
  }
  if (tile.thread_rank() == 0) found = {};
}

template <bool kTransposed>
__global__ void __launch_bounds__(cuda::kBlockThreads)
    grouped_gemm_kernel(const __grid_constant__ CallList<GroupedProduct> products, int64_t tiles,
                        int32_t column_tiles) {
  constexpr Adjacent kAdjacentB = kTransposed ? Adjacent::kDepth : Adjacent::kAcross;
  using Sums = TileProduct<Adjacent::kDepth, kAdjacentB>;
  __shared__ typename Sums::Shared shared;
  __shared__ RowTile found;
  const auto block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(block, tiles)) {
    const auto number = static_cast<int32_t>(unit);
    block.sync();  // the last tile's readers are done
    if (tile.meta_group_rank() == 0) find_row_tile(found, products, number / column_tiles, tile);
    block.sync();
    const RowTile rows = found;
    if (rows.rows == 0) break;
    const auto& [c, a, b, offsets] = products[rows.product];
    const auto depth = static_cast<int>(a.cols);
    const auto pitch = static_cast<int>(c.cols);
    const int column = number % column_tiles * kColumns;
    const int columns = pitch - column;
    if (columns <= 0) continue;
    const float* matrix = b.matrix.data + rows.group * a.cols * c.cols;
    Sums sums(block);
    sums.add(shared, {a.data + rows.begin * a.cols, depth, rows.rows},
             {matrix + column * (kTransposed ? depth : 1), kTransposed ? depth : pitch, columns},
             depth, block);
    float* out = c.data + rows.begin * c.cols + column;
    sums.for_each(rows.rows, columns,
                  [&](int row, int x, float sum) { out[row * pitch + x] = sum; });
  }
}

/// Tiles of the sums c of all groups.
DERRD_HOST_DEVICE inline int64_t tiles_of_sums(const GroupedProduct& product) {
  return groups_of(product) * ((product.a.cols + kRows - 1) / kRows) *
         ((product.c.cols + kColumns - 1) / kColumns);
}

__global__ void __launch_bounds__(cuda::kBlockThreads)
    grouped_gemm_accumulate_kernel(const __grid_constant__ CallList<GroupedProduct> products) {
  using Sums = TileProduct<Adjacent::kAcross, Adjacent::kAcross>;
  __shared__ typename Sums::Shared shared;
  const auto block = cg::this_thread_block();
  const auto target = [](const GroupedProduct& product) { return product.c.data; };
  const auto units = [&](const GroupedProduct& product) {
    return begins_sum(products, product, target) ? tiles_of_sums(product) : int64_t{0};
  };
  for_each_unit(block, products, units, [&](const GroupedProduct& first, int64_t unit) {
    const auto width = static_cast<int>(first.a.cols);
    const auto pitch = static_cast<int>(first.c.cols);
    const int column_tiles = (pitch + kColumns - 1) / kColumns;
    const int tiles = (width + kRows - 1) / kRows * column_tiles;
    const int g = static_cast<int>(unit) / tiles;
    const int row = static_cast<int>(unit) % tiles / column_tiles * kRows;
    const int column = static_cast<int>(unit) % column_tiles * kColumns;
    Sums sums(block);
    for_each_summand(products, first, target, [&](const GroupedProduct& p) {
      const auto [begin, rows] = rows_of(p, g);
      const auto depth = static_cast<int>(rows);
      sums.add(shared, {p.a.data + begin * width + row, width, width - row},
               {p.b.matrix.data + begin * pitch + column, pitch, pitch - column}, depth, block);
    });
    float* out = first.c.data + (static_cast<int64_t>(g) * width + row) * pitch + column;
    sums.for_each(width - row, pitch - column,
                  [&](int r, int x, float sum) { out[r * pitch + x] += sum; });
  });
}

/// At most the blocks that a device holds at once: a block behind the last tile only costs.
Geometry resident_blocks(int64_t tiles) {
  return blocks_for(std::min(tiles, cuda::max_blocks() / 4), kRows * kColumns);
}

/// Whether the rows of `next` lie behind those of `matrix`.
template <class T>
bool follows(Matrix<T> next, Matrix<T> matrix) {
  return next.cols == matrix.cols && next.data == matrix.data + matrix.size();
}

/// Makes `next` part of `product`, if both are parts of a product of more rows, or of longer sums.
bool join(Product& product, const Product& next) {
  if (next.a.transposed != product.a.transposed || next.b.transposed != product.b.transposed ||
      next.options.beta != product.options.beta || !follows(next.a.matrix, product.a.matrix)) {
    return false;
  }
  if (!product.a.transposed && next.b.matrix.data == product.b.matrix.data &&
      follows(next.c, product.c)) {
    product.c.rows += next.c.rows;
  } else if (product.a.transposed && next.options.beta == 1.0f && next.c.data == product.c.data &&
             !product.b.transposed && follows(next.b.matrix, product.b.matrix)) {
    product.b.matrix.rows += next.b.matrix.rows;
  } else {
    return false;
  }
  product.a.matrix.rows += next.a.matrix.rows;
  return true;
}

/// Whether a product of our own takes little time: of few multiply-adds, and of short sums, which
/// cuBLAS cuts into parts that run side by side.
bool is_small(const Product& product) {
  constexpr int64_t kSmall = int64_t{1} << 28;
  constexpr int64_t kShort = 256;
  return !product.a.transposed && product.options.beta == 0.0f && product.a.cols() <= kShort &&
         product.c.size() * product.a.cols() <= kSmall;
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

void gemm(const CallList<Product>& products, const Stream& stream) {
  CallList<Product> joined;
  for (const Product& product : products) {
    gemm_shape(product.c, product.a, product.b);
    if (joined.count == 0 || !join(joined.calls[joined.count - 1], product)) joined.add(product);
  }
  const auto alike = [&](const Product& product) {
    return is_small(product) && product.b.transposed == joined[0].b.transposed;
  };
  if (joined.count > 1 && std::all_of(joined.begin(), joined.end(), alike)) {
    grouped_gemm(joined.map([](const Product& product) {
      return GroupedProduct{product.c, product.a.matrix, product.b};
    }),
                 stream);
    return;
  }
  for (const auto& [c, a, b, options] : joined) gemm(c, a, b, options, stream);
}

void grouped_gemm(const CallList<GroupedProduct>& products, const Stream& stream) {
  check_grouped_gemm(products);
  int64_t row_tiles = 0;
  int64_t columns = 0;
  for (const GroupedProduct& product : products) {
    if (groups_of(product) > 0) row_tiles += groups_of(product) + product.c.rows / kRows;
    columns = std::max(columns, product.c.cols);
  }
  const int64_t column_tiles = (columns + kColumns - 1) / kColumns;
  const int64_t tiles = row_tiles * column_tiles;
  if (tiles == 0) return;
  launch("grouped_gemm", resident_blocks(tiles), stream,
         products[0].b.transposed ? grouped_gemm_kernel<true> : grouped_gemm_kernel<false>,
         products, tiles, column_tiles);
}

void grouped_gemm_accumulate(const CallList<GroupedProduct>& products, const Stream& stream) {
  check_grouped_gemm_accumulate(products);
  const int64_t tiles = total_units(products, tiles_of_sums);
  if (tiles == 0) return;
  launch("grouped_gemm_accumulate", resident_blocks(tiles), stream, grouped_gemm_accumulate_kernel,
         products);
}

}  // namespace derrd
