// Dense products by cuBLAS, and products per group of rows by kernels of our own, because the
// groups' sizes are known only to the device (cuBLAS wants them, and pointers, on the host).
//
//   grouped_gemm             c[p] = a[p] b_g        for the rows p of group g
//   grouped_gemm_accumulate  c_g += sum over the rows p of group g of a[p]^T b[p]
//
// A lane owns a patch, 4 x 4 elements of c, and keeps their sums in registers. It reads its four
// rows and four columns of the factors straight from memory, in vectors of 2 or 4 floats where
// sizes and addresses allow it: 16 multiply-adds for 2 or 3 loads. Nothing is copied to shared
// memory, and the inner loop has neither barriers nor bounds.
//
// Patches beside one another are a strip, of rows of one group: 43 rows cost 44. Patches are
// numbered panel by panel, and a panel is 8 patches wide. So the patches of a warp lie 8 x 4, and
// what its neighbours read again comes from the L1 cache.
//
// The depth (k, or the rows of a group) is cut into up to 8 parts, one per warp, so that a warp's
// work is short and there is enough for all warps. The sums of the parts meet in shared memory and
// are added in the order of the parts. The parts follow from the shapes alone: an element has one
// owner and its sum one order, so the bits are always the same.
//
// Rows and columns behind the last are read from the last one and never stored. Indices within a
// group are of 32 bits.
//
// Bytes: a block reads its rows of a and b once; it holds 256 patches, divided by the parts. At
// DE's shapes (43 rows a group, 110 x 200) each weight is read twice and each row of a 3 to 6
// times.

#include <cublas_v2.h>

#include <algorithm>

#include "kernels/platform/call_list.h"
#include "kernels/platform/cuda/check.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/gemm_shapes.h"

namespace derrd {

namespace {

constexpr int kPatch = 4;  ///< rows and columns of a patch
constexpr int kPanel = 8;  ///< patches beside one another in a panel
constexpr int kMostSplits = 3;
static_assert(1 << kMostSplits == kBlockTiles);

/// Vector of floats, loaded and stored at once.
template <int kSize>
struct alignas(kSize * sizeof(float)) Floats {
  float x[kSize];
};
using PatchRow = Floats<kPatch>;
template <int kSize>
__device__ __forceinline__ Floats<kSize> load_floats(const float* from) {
  return *reinterpret_cast<const Floats<kSize>*>(from);
}

/// Rows of a group: `count` rows from `begin` on, in the strips from `strip` on.
struct StripRows {
  int begin, count, strip;
};

/// A product in 32-bit numbers, and how the warps share it.
struct SplitProduct {
  SplitProduct() = default;
  explicit SplitProduct(const GroupedProduct& product)
      : c(product.c.data),
        a(product.a.data),
        b(product.b.matrix.data),
        offsets(product.offsets.data),
        groups(static_cast<int>(groups_of(product))),
        rows(static_cast<int>(product.a.rows)),
        width(static_cast<int>(product.a.cols)),
        columns(static_cast<int>(product.c.cols)) {}

  float* c = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  const int32_t* offsets = nullptr;
  int groups = 0, rows = 0;    ///< of a
  int width = 0, columns = 0;  ///< of a, of c
  int splits = 0;              ///< how often the depth is halved: 0 .. kMostSplits
  int summands = 0;            ///< of the sum that begins here

  /// The first strip of group g, whose rows start at `begin`. The strips up to that of the next
  /// group suffice for its rows, and no sum over the groups before it is needed; the last strip of
  /// a group may be empty.
  __device__ __forceinline__ static int first_strip(int begin, int g) {
    return static_cast<int>(static_cast<unsigned>(begin + (kPatch - 1) * g) / kPatch);
  }
  __device__ __forceinline__ int strips() const {
    return first_strip(offsets == nullptr ? rows : offsets[groups], groups);
  }
  __device__ __forceinline__ StripRows rows_of(int g) const {
    if (offsets == nullptr) return {0, rows, 0};
    const int begin = offsets[g];
    return {begin, offsets[g + 1] - begin, first_strip(begin, g)};
  }
  /// The group of a strip.
  __device__ __forceinline__ int group_of(int strip) const {
    int g = 0;
    if (offsets == nullptr) return g;
    for (int end = groups; end - g > 1;) {
      const auto middle = static_cast<int>(static_cast<unsigned>(g + end) / 2);
      (first_strip(offsets[middle], middle) <= strip ? g : end) = middle;
    }
    return g;
  }
};

DERRD_HOST_DEVICE inline int patches_in(int elements) {
  return static_cast<int>(static_cast<unsigned>(elements + kPatch - 1) / kPatch);
}
/// Blocks with a lane for each part of each patch.
DERRD_HOST_DEVICE inline int blocks_of(int patches, int splits) {
  return static_cast<int>(static_cast<unsigned>((patches << splits) + cuda::kBlockThreads - 1) /
                          cuda::kBlockThreads);
}

/// Four rows of a factor, the depth along them: element (d, i) is data[first + i][d]; rows behind
/// the last are the last.
template <int kStep>
class AlongDepth {
 public:
  __device__ __forceinline__ AlongDepth(const float* data, int pitch, int first, int rows) {
#pragma unroll
    for (int i = 0; i < kPatch; ++i) {
      from_[i] = i == 0 ? data + static_cast<int64_t>(first) * pitch
                        : from_[i - 1] + (first + i < rows ? pitch : 0);
    }
  }
  /// The next kStep elements of each.
  __device__ __forceinline__ void load(float (&values)[kStep][kPatch]) {
#pragma unroll
    for (int i = 0; i < kPatch; ++i) {
      const Floats<kStep> row = load_floats<kStep>(from_[i]);
      from_[i] += kStep;
#pragma unroll
      for (int d = 0; d < kStep; ++d) values[d][i] = row.x[d];
    }
  }

 private:
  const float* from_[kPatch];
};

/// Four columns of a factor: element (d, i) is data[d][first + i]. In vectors of kWidth floats, all
/// of which exist; single floats behind the last column are those of the last.
template <int kWidth>
class AcrossDepth {
 public:
  __device__ __forceinline__ AcrossDepth(const float* data, int pitch, int first, int columns)
      : pitch_(pitch) {
#pragma unroll
    for (int i = 0; i < kPointers; ++i) {
      from_[i] = data + (kWidth > 1 ? first : min(first + i, columns - 1));
    }
  }
  /// The next kStep rows.
  template <int kStep>
  __device__ __forceinline__ void load(float (&values)[kStep][kPatch]) {
#pragma unroll
    for (int d = 0; d < kStep; ++d) {
#pragma unroll
      for (int i = 0; i < kPatch; i += kWidth) {
        const Floats<kWidth> part =
            load_floats<kWidth>(kWidth > 1 ? from_[0] + i : from_[i % kPointers]);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) values[d][i + j] = part.x[j];
      }
#pragma unroll
      for (int i = 0; i < kPointers; ++i) from_[i] += pitch_;
    }
  }

 private:
  static constexpr int kPointers = kWidth > 1 ? 1 : kPatch;
  const float* from_[kPointers];
  int pitch_;
};

/// The sums of a lane's patch over its warp's part of the depth, and those of the block's others.
class PatchSums {
 public:
  using Shared = PatchRow[kPatch][cuda::kBlockThreads];

  __device__ __forceinline__ explicit PatchSums(int splits)
      : thread_(threadIdx.x), part_(threadIdx.x / 32 & ((1u << splits) - 1)), splits_(splits) {}

  /// Number of the patch among those of all blocks.
  __device__ __forceinline__ int number(int block) const {
    return block * (cuda::kBlockThreads >> splits_) +
           static_cast<int>((thread_ / 32 >> splits_) * 32 + thread_ % 32);
  }
  /// First index of the warp's part of a depth in units, or of the part behind it.
  __device__ __forceinline__ int part_begin(int units, unsigned next = 0) const {
    return static_cast<int>(static_cast<unsigned>(units) * (part_ + next) >> splits_);
  }

  /// Adds the sum over d < depth of a(d, row) b(d, column), in steps of kStep.
  template <int kStep, class A, class B>
  __device__ __forceinline__ void add(A a, B b, int depth) {
    constexpr int kUnrolled = kStep > 1 ? 8 : 4;
#pragma unroll 1
    for (; depth >= kUnrolled; depth -= kUnrolled) {
#pragma unroll
      for (int d = 0; d < kUnrolled; d += kStep) add_step<kStep>(a, b);
    }
#pragma unroll 1
    for (; depth > 0; depth -= kStep) add_step<kStep>(a, b);
  }

  /// Adds the parts up and calls f(row, sums) for the rows of the patch, each in one of the parts'
  /// lanes. Called by the whole block.
  template <class Function>
  __device__ __forceinline__ void for_each_row(Shared& shared, const cg::thread_block& block,
                                               Function f) const {
    block.sync();  // the last patches have been read
#pragma unroll
    for (int i = 0; i < kPatch; ++i) {
      PatchRow row;
#pragma unroll
      for (int j = 0; j < kPatch; ++j) row.x[j] = sum_[i][j];
      shared[i][thread_] = row;
    }
    block.sync();
    const unsigned first = thread_ - part_ * 32;
    const unsigned end = first + (32u << splits_);
    for (unsigned i = part_; i < kPatch; i += 1u << splits_) {
      PatchRow sum = shared[i][first];
#pragma unroll 1
      for (unsigned other = first + 32; other < end; other += 32) {
        const PatchRow part = shared[i][other];
#pragma unroll
        for (int j = 0; j < kPatch; ++j) sum.x[j] += part.x[j];
      }
      f(static_cast<int>(i), sum);
    }
  }

 private:
  template <int kStep, class A, class B>
  __device__ __forceinline__ void add_step(A& a, B& b) {
    float x[kStep][kPatch], y[kStep][kPatch];
    a.load(x);
    b.load(y);
#pragma unroll
    for (int d = 0; d < kStep; ++d) {
#pragma unroll
      for (int i = 0; i < kPatch; ++i) {
#pragma unroll
        for (int j = 0; j < kPatch; ++j) sum_[i][j] += x[d][i] * y[d][j];
      }
    }
  }

  float sum_[kPatch][kPatch] = {};
  unsigned thread_, part_;
  int splits_;
};

/// Calls f(call, number) for the block's share of the units(call) units of each call.
template <class Units, class Function>
__device__ __forceinline__ void for_each_block_unit(const CallList<SplitProduct>& calls,
                                                    Units units, Function f) {
  auto number = static_cast<int>(blockIdx.x);
  for (int i = 0; i < calls.count; ++i) {
    const int own = units(calls[i]);
    for (; number < own; number += static_cast<int>(gridDim.x)) f(calls[i], number);
    number -= own;
  }
}

/// Strip and column, in patches, of a patch in panels.
struct PatchIndex {
  int strip, column;
};
__device__ __forceinline__ PatchIndex patch_index(int patch, int strips, int columns) {
  const auto of_panel = static_cast<unsigned>(strips * kPanel);
  const unsigned panel = static_cast<unsigned>(patch) / of_panel;
  const unsigned in_panel = static_cast<unsigned>(patch) - panel * of_panel;
  const int begin = static_cast<int>(panel) * kPanel;
  const auto width = static_cast<unsigned>(max(1, min(kPanel, columns - begin)));
  const unsigned strip = in_panel / width;
  return {static_cast<int>(strip), begin + static_cast<int>(in_panel - strip * width)};
}

/// kVectors: sizes and addresses allow vectors of floats.
template <bool kTransposed, bool kVectors>
__global__ void __launch_bounds__(cuda::kBlockThreads)
    grouped_gemm_kernel(const __grid_constant__ CallList<SplitProduct> products) {
  constexpr int kStep = !kVectors ? 1 : kTransposed ? 4 : 2;
  constexpr int kStored = !kVectors ? 1 : kTransposed ? 2 : 4;
  using A = AlongDepth<kStep>;
  using B = std::conditional_t<kTransposed, AlongDepth<kStep>, AcrossDepth<kVectors ? 4 : 1>>;
  __shared__ PatchSums::Shared shared;
  const auto block = cg::this_thread_block();
  // The products have equally many blocks.
  const auto count = static_cast<unsigned>(products.count);
  const unsigned first_unit = blockIdx.x / count;
  const SplitProduct& call = products[blockIdx.x - first_unit * count];
  const int depth = call.width;
  const int pitch = call.columns;
  const int strips = call.strips();
  const int units = blocks_of(strips * patches_in(pitch), call.splits);
  for (auto unit = static_cast<int>(first_unit); unit < units; unit += gridDim.x / count) {
    PatchSums sums(call.splits);
    const PatchIndex at = patch_index(sums.number(unit), strips, patches_in(pitch));
    const int group = call.group_of(at.strip);
    const auto [begin, rows, strip] = call.rows_of(group);
    const int row = (at.strip - strip) * kPatch;
    const int column = at.column * kPatch;
    const bool exists = row < rows && column < pitch;
    // Parts begin at multiples of kPatch, so they do not depend on the width of the loads.
    const int first = min(depth, sums.part_begin(patches_in(depth)) * kPatch);
    const int last = min(depth, sums.part_begin(patches_in(depth), 1) * kPatch);
    const float* a = call.a + (static_cast<int64_t>(begin) * depth + first);
    const float* b = call.b + (static_cast<int64_t>(group) * depth * pitch +
                               (kTransposed ? first : first * pitch));
    sums.template add<kStep>(A(a, depth, row, rows),
                             B(b, kTransposed ? depth : pitch, column, pitch),
                             exists ? last - first : 0);
    float* out = call.c + (static_cast<int64_t>(begin + row) * pitch + column);
    sums.for_each_row(shared, block, [&](int i, const PatchRow& sum) {
      if (!exists || row + i >= rows) return;
#pragma unroll
      for (int j = 0; j < kPatch; j += kStored) {
        Floats<kStored> part;
#pragma unroll
        for (int k = 0; k < kStored; ++k) part.x[k] = sum.x[j + k];
        if (column + j < pitch) *reinterpret_cast<Floats<kStored>*>(out + i * pitch + j) = part;
      }
    });
  }
}

/// Blocks that work on the sums of a group.
DERRD_HOST_DEVICE inline int blocks_of_group(const SplitProduct& call) {
  return blocks_of(patches_in(call.width) * patches_in(call.columns), call.splits);
}

template <bool kVectors>
__global__ void __launch_bounds__(cuda::kBlockThreads)
    grouped_gemm_accumulate_kernel(const __grid_constant__ CallList<SplitProduct> products) {
  constexpr int kStored = kVectors ? 4 : 1;
  using A = AcrossDepth<kVectors ? 2 : 1>;
  using B = AcrossDepth<kVectors ? 4 : 1>;
  __shared__ PatchSums::Shared shared;
  const auto block = cg::this_thread_block();
  const auto units = [](const SplitProduct& call) {
    return call.summands > 0 ? call.groups * blocks_of_group(call) : 0;
  };
  for_each_block_unit(products, units, [&](const SplitProduct& call, int unit) {
    const int width = call.width;
    const int pitch = call.columns;
    const int blocks = blocks_of_group(call);
    const int g = static_cast<int>(static_cast<unsigned>(unit) / static_cast<unsigned>(blocks));
    PatchSums sums(call.splits);
    const PatchIndex at =
        patch_index(sums.number(unit - g * blocks), patches_in(width), patches_in(pitch));
    const int own = at.strip * kPatch;
    const int row = kVectors ? min(own, width - kPatch) : own;  // vectors end with the last row
    const int column = at.column * kPatch;
    for (int i = 0; i < call.summands; ++i) {
      const SplitProduct& p = (&call)[i];
      const StripRows rows = p.rows_of(g);
      const int first = sums.part_begin(rows.count);
      const int last = sums.part_begin(rows.count, 1);
      const auto from = static_cast<int64_t>(rows.begin + first);
      sums.template add<1>(A(p.a + from * width, width, row, width),
                           B(p.b + from * pitch, pitch, column, pitch),
                           column < pitch ? last - first : 0);
    }
    float* out = call.c + ((static_cast<int64_t>(g) * width + row) * pitch + column);
    sums.for_each_row(shared, block, [&](int i, const PatchRow& sum) {
      if (row + i < own || row + i >= width) return;
#pragma unroll
      for (int j = 0; j < kPatch; j += kStored) {
        if (column + j >= pitch) return;
        auto& stored = *reinterpret_cast<Floats<kStored>*>(out + i * pitch + j);
        Floats<kStored> total = stored;
#pragma unroll
        for (int k = 0; k < kStored; ++k) total.x[k] += sum.x[j + k];
        stored = total;
      }
    });
  });
}

/// Whether rows of `cols` floats are whole vectors of `width` floats.
bool is_whole(const float* data, int64_t cols, int64_t width) {
  return cols % width == 0 && cols >= width &&
         reinterpret_cast<uintptr_t>(data) % (static_cast<size_t>(width) * sizeof(float)) == 0;
}

/// How often a depth is halved until there are `enough` parts of the patches, or parts get short.
int splits_for(int64_t patches, int64_t enough, int64_t depth) {
  constexpr int64_t kShortest = 10;
  int splits = 0;
  while (splits < kMostSplits && patches << splits < enough && depth >> (splits + 1) >= kShortest) {
    ++splits;
  }
  return splits;
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
  const bool transposed = products[0].b.transposed;
  bool vectors = true;
  int64_t blocks = 0;
  const auto calls = products.map([&](const GroupedProduct& product) {
    constexpr int64_t kEnough = 100;  // parts of a strip's patches
    const auto& [c, a, b, offsets] = product;
    vectors = vectors && is_whole(a.data, a.cols, transposed ? 4 : 2) &&
              is_whole(b.matrix.data, b.matrix.cols, 4) &&
              is_whole(c.data, c.cols, transposed ? 2 : 4);
    SplitProduct call(product);
    const int columns = patches_in(call.columns);
    call.splits = splits_for(columns, kEnough, call.width);
    blocks = std::max<int64_t>(
        blocks, blocks_of((call.groups + call.rows / kPatch) * columns, call.splits));
    return call;
  });
  if (blocks == 0) return;
  const auto kernel =
      transposed ? (vectors ? grouped_gemm_kernel<true, true> : grouped_gemm_kernel<true, false>)
                 : (vectors ? grouped_gemm_kernel<false, true> : grouped_gemm_kernel<false, false>);
  // At most the blocks that a device holds at once: one without patches only costs.
  const int64_t resident = std::max<int64_t>(1, cuda::max_blocks() / 8 / calls.count);
  launch("grouped_gemm", {std::min(blocks, resident) * calls.count}, stream, kernel, calls);
}

void grouped_gemm_accumulate(const CallList<GroupedProduct>& products, const Stream& stream) {
  check_grouped_gemm_accumulate(products);
  bool vectors = true;
  int64_t blocks = 0;
  auto calls = products.map([&](const GroupedProduct& product) {
    const auto& [c, a, b, offsets] = product;
    vectors = vectors && a.cols >= kPatch && is_whole(a.data, a.cols, 2) &&
              is_whole(b.matrix.data, c.cols, 4) && is_whole(c.data, c.cols, 4);
    return SplitProduct(product);
  });
  SplitProduct* first = calls.begin();
  for (SplitProduct& call : calls) {
    if (call.c != first->c) first = &call;
    ++first->summands;
  }
  for (SplitProduct& call : calls) {
    if (call.summands == 0) continue;
    constexpr int64_t kEnough = 1400;  // parts of a group's patches, by product
    constexpr int kLong = 2048;        // rows of a group that are always cut
    const int64_t patches = int64_t{patches_in(call.width)} * patches_in(call.columns);
    call.splits = call.rows / std::max(1, call.groups) > kLong
                      ? kMostSplits
                      : splits_for(patches / call.summands, kEnough, kLong);
    blocks += int64_t{call.groups} * blocks_of_group(call);
  }
  if (blocks == 0) return;
  launch("grouped_gemm_accumulate", blocks_for(blocks, kPatch * kPatch), stream,
         vectors ? grouped_gemm_accumulate_kernel<true> : grouped_gemm_accumulate_kernel<false>,
         calls);
}

}  // namespace derrd
