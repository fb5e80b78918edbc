#pragma once

// CUDA: a block is 256 threads, a tile is a warp; units are dealt out grid-stride.

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/platform/cuda/check.h"
#include "kernels/platform/device.h"
#include "kernels/platform/unit_range.h"
#include "kernels/platform/views.h"

namespace derrd {

namespace cg = cooperative_groups;

namespace cuda {
constexpr int kBlockThreads = 256;
}  // namespace cuda

constexpr int kBlockTiles = cuda::kBlockThreads / 32;

using WarpTile = cg::thread_block_tile<32>;
__device__ __forceinline__ WarpTile warp_tile() {
  return cg::tiled_partition<32>(cg::this_thread_block());
}

template <class T, class Op>
__device__ __forceinline__ T ordered_inclusive_scan(const WarpTile& tile, T value, Op op) {
  for (unsigned distance = 1; distance < tile.size(); distance *= 2) {
    const T earlier = tile.shfl_up(value, distance);
    if (tile.thread_rank() >= distance) value = op(earlier, value);
  }
  return value;
}

/// Number of bits that are set.
__device__ __forceinline__ int count_bits(unsigned bits) { return __popc(bits); }

/// a * b + c in one rounding.
__device__ __forceinline__ float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }

__device__ __forceinline__ StridedRange units_of(const WarpTile&, int64_t count) {
  constexpr int64_t kTiles = kBlockTiles;
  return {blockIdx.x * kTiles + threadIdx.x / 32, gridDim.x * kTiles, count};
}
__device__ __forceinline__ StridedRange units_of(const cg::thread_block&, int64_t count) {
  return {blockIdx.x, gridDim.x, count};
}
__device__ __forceinline__ StridedRange units_of(SingleThread, int64_t count) {
  const int64_t threads = blockDim.x;
  return {blockIdx.x * threads + threadIdx.x, gridDim.x * threads, count};
}

template <class T, int kSize>
struct SharedArray {
  T elements[kSize];
  __device__ T& operator[](int64_t i) { return elements[i]; }
  __device__ const T& operator[](int64_t i) const { return elements[i]; }
};

/// Adds to an integer in shared or global memory; returns the old value. Integers only: a sum of
/// floats would depend on the order.
__device__ __forceinline__ uint32_t atomic_add(uint32_t& target, uint32_t value) {
  return atomicAdd(&target, value);
}

/// Adds to an integer in global memory, where other blocks may add too; returns the old value.
__device__ __forceinline__ int64_t atomic_add(int64_t& target, int64_t value) {
  using Word = unsigned long long;  // the same sum in two's complement
  return static_cast<int64_t>(
      atomicAdd(reinterpret_cast<Word*>(&target), static_cast<Word>(value)));
}

/// The value of an integer in global memory that other threads may exchange meanwhile.
__device__ __forceinline__ uint32_t atomic_load(const uint32_t& source) {
  return *static_cast<const volatile uint32_t*>(&source);
}

/// Puts a value in the place of another, in global memory; returns the old one.
__device__ __forceinline__ uint32_t atomic_exchange(uint32_t& target, uint32_t value) {
  return atomicExch(&target, value);
}

struct Geometry {
  int64_t blocks = 1;
  int threads = cuda::kBlockThreads;
};

namespace cuda {
/// Blocks that fill the device several times over; more units than that are dealt out grid-stride.
int64_t max_blocks();
void count_launch();
}  // namespace cuda

/// Geometry for `units` work units of about `elements` scalar operations each, with a tile, a block
/// or a thread per unit.
inline Geometry tiles_for(int64_t units, int64_t /*elements*/) {
  return {std::clamp<int64_t>((units + kBlockTiles - 1) / kBlockTiles, 1, cuda::max_blocks())};
}
inline Geometry blocks_for(int64_t units, int64_t /*elements*/) {
  return {std::clamp<int64_t>(units, 1, cuda::max_blocks())};
}
inline Geometry threads_for(int64_t units, int64_t /*elements*/ = 1) {
  constexpr int64_t kThreads = cuda::kBlockThreads;
  return {std::clamp<int64_t>((units + kThreads - 1) / kThreads, 1, cuda::max_blocks())};
}

/// Queues `kernel` on the stream under an NVTX range of that name, and checks the launch.
/// @throws DeviceError naming the operation.
template <class... Parameters, class... Arguments>
void launch(const char* name, Geometry geometry, const Stream& stream,
            void (*kernel)(Parameters...), Arguments&&... arguments) {
  nvtxRangePushA(name);
  kernel<<<static_cast<unsigned>(geometry.blocks), geometry.threads, 0,
           static_cast<cudaStream_t>(stream.native())>>>(static_cast<Parameters>(arguments)...);
  const cudaError_t status = cudaGetLastError();
  nvtxRangePop();
  cuda::count_launch();
  cuda::check(status, name);
}

}  // namespace derrd
