// planted_faults <fault>: kernels with one fault each. The checking executor has to report it; the
// fault `none` runs all of them in their correct form, which has to pass without a report.

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/memory.h"

namespace derrd {
namespace {

constexpr int kBlock = 64;
constexpr Geometry kTwoBlocks = {2};
constexpr Geometry kOneBlock = {1};

/// Reverses the numbers of a block's threads through shared memory.
__global__ void removed_barrier_kernel(Vector<int32_t> out, bool fault) {
  __shared__ SharedArray<int32_t, kBlock> numbers;
  const cg::thread_block block = cg::this_thread_block();
  const int rank = static_cast<int>(block.thread_rank());
  numbers[rank] = -1;
  block.sync();
  numbers[rank] = rank;
  if (!fault) block.sync();
  const int32_t other = numbers[kBlock - 1 - rank];
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = other;
}

/// A tile's lane 0 leaves a number to the others; a reduction in between is no barrier.
__global__ void reduction_as_barrier_kernel(Vector<int32_t> out, bool fault) {
  __shared__ SharedArray<int32_t, kBlock> numbers;
  const WarpTile tile = warp_tile();
  const int own = static_cast<int>(tile.meta_group_rank());
  if (tile.thread_rank() == 0) numbers[own] = 7;
  const int32_t lanes = cg::reduce(tile, 1, cg::plus<int32_t>());
  if (!fault) tile.sync();
  const int32_t sum = numbers[own] + lanes;
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = sum;
}

/// Tile 1 reads what tile 0 wrote, after a barrier of the tile where the block's is needed.
__global__ void tile_race_kernel(Vector<int32_t> out, bool fault) {
  __shared__ SharedArray<int32_t, kBlock> numbers;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const int rank = static_cast<int>(block.thread_rank());
  numbers[rank] = rank;
  block.sync();
  if (tile.meta_group_rank() == 0) numbers[rank] = rank + 1;
  fault ? tile.sync() : block.sync();
  const int32_t number = numbers[rank % 32];
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = number;
}

/// Both blocks write the same element of global memory.
__global__ void block_race_kernel(Vector<int32_t> out, bool fault) {
  const cg::thread_block block = cg::this_thread_block();
  for (const int64_t unit : units_of(block, 2)) {
    if (block.thread_rank() == 0) out[fault ? 0 : unit] = static_cast<int32_t>(unit);
  }
}

/// The threads of a block part at a barrier of the block.
__global__ void divergent_block_barrier_kernel(bool fault) {
  const cg::thread_block block = cg::this_thread_block();
  if (!fault || block.thread_rank() != 5) block.sync();
}

/// Half of a tile's lanes take another barrier than the rest.
__global__ void divergent_tile_barrier_kernel(bool fault) {
  const WarpTile tile = warp_tile();
  if (fault && tile.thread_rank() < 16) {
    tile.sync();
  } else {
    tile.sync();
  }
}

/// A lane waits for its tile while the rest of the tile waits for the block.
__global__ void crossed_barriers_kernel(bool fault) {
  const WarpTile tile = warp_tile();
  if (fault && tile.thread_rank() == 3) tile.sync();
  cg::this_thread_block().sync();
  if (!fault) tile.sync();
}

/// Lanes beyond the end return before a reduction that the rest of their tile takes part in.
__global__ void early_exit_kernel(Vector<int32_t> out, bool fault) {
  const WarpTile tile = warp_tile();
  if (fault && tile.thread_rank() >= 20) return;
  const int32_t sum = cg::reduce(tile, 1, cg::plus<int32_t>());
  for (const int64_t unit : units_of(tile, out.size)) {
    if (tile.thread_rank() == 0) out[unit] = sum;
  }
}

__global__ void different_collectives_kernel(Vector<int32_t> out, bool fault) {
  const WarpTile tile = warp_tile();
  const int32_t one = fault && tile.thread_rank() == 9
                          ? tile.shfl(1, 0)
                          : cg::reduce(tile, 1, cg::greater<int32_t>());
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = one;
}

__global__ void shuffle_source_kernel(Vector<int32_t> out, bool fault) {
  const WarpTile tile = warp_tile();
  const int32_t value = tile.shfl(1, fault ? tile.size() : tile.size() - 1);
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = value;
}

__global__ void shared_out_of_bounds_kernel(bool fault) {
  __shared__ SharedArray<int32_t, kBlock> numbers;
  const int rank = static_cast<int>(cg::this_thread_block().thread_rank());
  numbers[rank + (fault ? 1 : 0)] = rank;
}

__global__ void vector_out_of_bounds_kernel(Vector<int32_t> out, bool fault) {
  for (const int64_t unit : units_of(SingleThread{}, out.size + (fault ? 1 : 0))) out[unit] = 1;
}

__global__ void matrix_out_of_bounds_kernel(Matrix<int32_t> out, bool fault) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, out.rows)) {
    if (tile.thread_rank() == 0) *out.row(unit - (fault ? 1 : 0)) = 1;
  }
}

/// A sum whose first addend is missing.
__global__ void uninitialised_shared_kernel(bool fault) {
  __shared__ SharedArray<int32_t, 4> sums;
  if (cg::this_thread_block().thread_rank() != 0) return;
  if (!fault) sums[2] = 0;
  sums[2] += 1;
}

/// Reads what the block of an earlier launch left in shared memory.
__global__ void stale_shared_kernel(bool write) {
  __shared__ SharedArray<int32_t, 4> numbers;
  if (cg::this_thread_block().thread_rank() != 0) return;
  if (write) numbers[1] = 0;
  ++numbers[1];
}

/// Counts in shared memory: atomics on the same element are no race.
__global__ void histogram_kernel(Vector<int32_t> out) {
  __shared__ SharedArray<uint32_t, 4> counts;
  const cg::thread_block block = cg::this_thread_block();
  const unsigned rank = block.thread_rank();
  if (rank < 4) counts[rank] = 0;
  block.sync();
  atomic_add(counts[rank % 4], 1u);
  block.sync();
  const auto count = static_cast<int32_t>(static_cast<uint32_t>(counts[rank % 4]));
  for (const int64_t unit : units_of(SingleThread{}, out.size)) out[unit] = count;
}

/// The sum over two rows of which one lives: a product may read the other one too.
float product_of_two_rows(bool clear, const Stream& stream) {
  const DeviceArray<float> a(2), b(2), c(1);
  const DeviceArray<int32_t> active(1);
  const float one = 1.0f;
  const int32_t rows = 1;
  for (const DeviceArray<float>* operand : {&a, &b}) {
    if (clear) operand->zero(stream);
    copy_to_device(operand->data(), &one, sizeof one, stream);
  }
  copy_to_device(active.data(), &rows, sizeof rows, stream);
  gemm(c.matrix(1, 1), transpose(a.matrix(2, 1)), b.matrix(2, 1), {.active = active.data()},
       stream);
  return c.to_host(stream)[0];
}

int run(const std::string& fault) {
  const Stream stream;
  const DeviceArray<int32_t> memory(2 * kBlock);
  memory.zero(stream);
  const Vector<int32_t> out = memory.view();
  bool known = fault == "none";
  const auto planted = [&](const char* name) {
    if (fault == name) known = true;
    return fault == name;
  };
  // Runs the named kernel, with its fault or without.
  const auto plant = [&](const char* name, Geometry geometry, auto kernel, auto... arguments) {
    launch(name, geometry, stream, kernel, arguments..., planted(name));
  };
  plant("removed_barrier", kTwoBlocks, removed_barrier_kernel, out);
  plant("reduction_as_barrier", kTwoBlocks, reduction_as_barrier_kernel, out);
  plant("tile_race", kOneBlock, tile_race_kernel, out);
  plant("block_race", kTwoBlocks, block_race_kernel, out);
  plant("divergent_block_barrier", kOneBlock, divergent_block_barrier_kernel);
  plant("divergent_tile_barrier", kOneBlock, divergent_tile_barrier_kernel);
  plant("crossed_barriers", kOneBlock, crossed_barriers_kernel);
  plant("early_exit", kTwoBlocks, early_exit_kernel, out);
  plant("different_collectives", kOneBlock, different_collectives_kernel, out);
  plant("shuffle_source", kOneBlock, shuffle_source_kernel, out);
  plant("shared_out_of_bounds", kOneBlock, shared_out_of_bounds_kernel);
  plant("vector_out_of_bounds", kTwoBlocks, vector_out_of_bounds_kernel, out);
  plant("matrix_out_of_bounds", kTwoBlocks, matrix_out_of_bounds_kernel,
        Matrix<int32_t>{out.data, 8, 4});
  plant("uninitialised_shared", kOneBlock, uninitialised_shared_kernel);
  launch("stale_shared", kOneBlock, stream, stale_shared_kernel, true);
  launch("stale_shared", kOneBlock, stream, stale_shared_kernel, !planted("stale_shared"));
  launch("histogram", kTwoBlocks, stream, histogram_kernel, out);
  if (planted("host_index")) out[2 * kBlock] = 0;
  if (!std::isfinite(product_of_two_rows(!planted("uncleared_rows"), stream))) {
    std::fprintf(stderr, "simt check: a product read a row that nobody cleared\n");
    return 3;
  }
  stream.synchronize();
  if (!known) {
    std::fprintf(stderr, "no fault of the name %s\n", fault.c_str());
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace derrd

int main(int argc, char** argv) {
  // CTest takes a death by a signal for a failure, whatever was reported.
  std::signal(SIGABRT, [](int) { std::_Exit(3); });
  return derrd::run(argc == 2 ? argv[1] : "");
}
