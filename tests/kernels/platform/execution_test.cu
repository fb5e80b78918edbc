// Cooperative groups, shared memory, the dealing out of work units and launches, on every executor,
// whatever number of lanes its tiles have.

#include "kernels/platform/execution.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tests/kernels/support.h"

namespace derrd::test::execution_test {
namespace {

constexpr int64_t kMaxLanes = 32;

__global__ void lanes_kernel(Vector<int32_t> lanes) {
  const WarpTile tile = warp_tile();
  if (tile.meta_group_rank() == 0 && tile.thread_rank() == 0) {
    lanes[0] = static_cast<int32_t>(tile.size());
  }
}

/// Values that every lane got from the collectives, [units, lanes].
struct Collected {
  Matrix<int32_t> lanes, sum, greatest, least, inclusive, inclusive_greatest, exclusive, shuffled;
  Matrix<uint32_t> ballot;
  Matrix<int32_t> any, all;
};

__global__ void collect_kernel(Collected out, Matrix<const int32_t> in) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, in.rows)) {
    const unsigned lane = tile.thread_rank();
    const int32_t value = in.row(unit)[lane];
    out.lanes.row(unit)[lane] = static_cast<int32_t>(tile.size());
    out.sum.row(unit)[lane] = cg::reduce(tile, value, cg::plus<int32_t>());
    out.greatest.row(unit)[lane] = cg::reduce(tile, value, cg::greater<int32_t>());
    out.least.row(unit)[lane] = cg::reduce(tile, value, cg::less<int32_t>());
    out.inclusive.row(unit)[lane] = cg::inclusive_scan(tile, value, cg::plus<int32_t>());
    out.inclusive_greatest.row(unit)[lane] =
        cg::inclusive_scan(tile, value, cg::greater<int32_t>());
    out.exclusive.row(unit)[lane] = cg::exclusive_scan(tile, value);
    out.shuffled.row(unit)[lane] = tile.shfl(value, (lane + 5) % tile.size());
    out.ballot.row(unit)[lane] = tile.ballot(value > 0);
    out.any.row(unit)[lane] = tile.any(value > 40) ? 1 : 0;
    out.all.row(unit)[lane] = tile.all(value > -40) ? 1 : 0;
  }
}

TEST(ExecutionTest, CollectivesAgreeWithLoopsOverTheLanes) {
  for (const int64_t units : {1, 2, 7, 40}) {
    const std::vector<int32_t> values = random_below(units * kMaxLanes, 101, 3);
    std::vector<int32_t> centred(values);
    for (int32_t& v : centred) v -= 50;
    const Guarded<int32_t> in(centred);
    const auto buffer = [&] {
      return Guarded<int32_t>(std::vector<int32_t>(static_cast<size_t>(units * kMaxLanes)));
    };
    const Guarded<int32_t> lanes = buffer(), sum = buffer(), greatest = buffer(), least = buffer(),
                           inclusive = buffer(), inclusive_greatest = buffer(),
                           exclusive = buffer(), shuffled = buffer(), any = buffer(),
                           all = buffer();
    const Guarded<uint32_t> ballot(units * kMaxLanes);
    const auto matrix = [&](const auto& b) { return b.matrix(units, kMaxLanes); };
    const Collected out = {matrix(lanes),     matrix(sum),       matrix(greatest),
                           matrix(least),     matrix(inclusive), matrix(inclusive_greatest),
                           matrix(exclusive), matrix(shuffled),  matrix(ballot),
                           matrix(any),       matrix(all)};
    launch("collect", tiles_for(units, kMaxLanes), stream(), collect_kernel, out,
           Matrix<const int32_t>(matrix(in)));

    const int32_t size = lanes.host()[0];
    ASSERT_TRUE(size == 1 || size == kMaxLanes) << size;
    const auto h_sum = sum.host(), h_greatest = greatest.host(), h_least = least.host(),
               h_inclusive = inclusive.host(), h_inclusive_greatest = inclusive_greatest.host(),
               h_exclusive = exclusive.host(), h_shuffled = shuffled.host(), h_any = any.host(),
               h_all = all.host();
    const auto h_ballot = ballot.host();
    for (int64_t unit = 0; unit < units; ++unit) {
      const int32_t* row = centred.data() + unit * kMaxLanes;
      uint32_t expected_ballot = 0;
      for (int32_t i = 0; i < size; ++i) expected_ballot |= (row[i] > 0 ? 1u : 0u) << i;
      for (int32_t i = 0; i < size; ++i) {
        const size_t at = static_cast<size_t>(unit * kMaxLanes + i);
        SCOPED_TRACE("unit " + std::to_string(unit) + " of " + std::to_string(units) + ", lane " +
                     std::to_string(i));
        EXPECT_EQ(h_sum[at], std::accumulate(row, row + size, 0));
        EXPECT_EQ(h_greatest[at], *std::max_element(row, row + size));
        EXPECT_EQ(h_least[at], *std::min_element(row, row + size));
        EXPECT_EQ(h_inclusive[at], std::accumulate(row, row + i + 1, 0));
        EXPECT_EQ(h_inclusive_greatest[at], *std::max_element(row, row + i + 1));
        EXPECT_EQ(h_exclusive[at], std::accumulate(row, row + i, 0));
        EXPECT_EQ(h_shuffled[at], row[(i + 5) % size]);
        EXPECT_EQ(h_ballot[at], expected_ballot);
        EXPECT_EQ(h_any[at], std::any_of(row, row + size, [](int v) { return v > 40; }) ? 1 : 0);
        EXPECT_EQ(h_all[at], std::all_of(row, row + size, [](int v) { return v > -40; }) ? 1 : 0);
      }
    }
  }
}

/// x -> a x + b, modulo 2^32: composition does not commute.
struct Affine {
  uint32_t a, b;
};
struct ThenAffine {
  __device__ Affine operator()(Affine first, Affine second) const {
    return {first.a * second.a, first.b * second.a + second.b};
  }
};
__global__ void ordered_scan_kernel(Matrix<uint32_t> out, Matrix<const uint32_t> a,
                                    Matrix<const uint32_t> b) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, out.rows)) {
    const unsigned lane = tile.thread_rank();
    const Affine own = {a.row(unit)[lane], b.row(unit)[lane]};
    const Affine all = ordered_inclusive_scan(tile, own, ThenAffine());
    out.row(unit)[lane] = all.a * 3 + all.b;
  }
}

TEST(ExecutionTest, AnOrderedScanKeepsTheOrderOfTheLanes) {
  constexpr int64_t kUnits = 9;
  std::vector<uint32_t> a, b;
  for (const int32_t v : random_below(kUnits * kMaxLanes, 1 << 30, 21)) {
    a.push_back(2 * static_cast<uint32_t>(v) + 1);
    b.push_back(static_cast<uint32_t>(v) ^ 0x9e3779b9u);
  }
  const Guarded<uint32_t> device_a(a), device_b(b), out(kUnits * kMaxLanes);
  const Guarded<int32_t> lanes(1);
  launch("ordered_scan", tiles_for(kUnits, kMaxLanes), stream(), ordered_scan_kernel,
         out.matrix(kUnits, kMaxLanes), Matrix<const uint32_t>(device_a.matrix(kUnits, kMaxLanes)),
         Matrix<const uint32_t>(device_b.matrix(kUnits, kMaxLanes)));
  launch("lanes", tiles_for(1, 1), stream(), lanes_kernel, lanes.view());
  const int32_t size = lanes.host()[0];
  const std::vector<uint32_t> actual = out.host();
  for (int64_t unit = 0; unit < kUnits; ++unit) {
    uint32_t x = 3;
    for (int32_t lane = 0; lane < size; ++lane) {
      const auto at = static_cast<size_t>(unit * kMaxLanes + lane);
      x = a[at] * x + b[at];
      EXPECT_EQ(actual[at], x) << "lane " << lane << " of unit " << unit;
    }
  }
}

__global__ void reduce_wide_kernel(Vector<double> sums, Matrix<const float> in) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, in.rows)) {
    double sum = 0;
    for (int64_t k = tile.thread_rank(); k < in.cols; k += tile.size()) sum += in.row(unit)[k];
    sum = cg::reduce(tile, sum, cg::plus<double>());
    if (tile.thread_rank() == 0) sums[unit] = sum;
  }
}

TEST(ExecutionTest, LanesStrideThroughRowsOfAnyLength) {
  for (const int64_t cols : kEdgeSizes) {
    constexpr int64_t kRows = 9;
    const std::vector<float> values = random_normal(kRows * cols, 5);
    const Guarded<float> in(values);
    const Guarded<double> sums(kRows);
    launch("reduce_wide", tiles_for(kRows, cols), stream(), reduce_wide_kernel, sums.view(),
           Matrix<const float>(in.matrix(kRows, cols)));
    for (int64_t r = 0; r < kRows; ++r) {
      const double expected =
          std::accumulate(values.begin() + r * cols, values.begin() + (r + 1) * cols, 0.0);
      // Doubles summed in another order: 257 roundings of 2^-53 each of sums below 100.
      EXPECT_NEAR(sums.host()[static_cast<size_t>(r)], expected, 257 * 100 * 0x1p-53) << cols;
    }
  }
}

__global__ void visit_by_tile_kernel(Vector<uint32_t> visits, int64_t count) {
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(tile, count)) {
    if (tile.thread_rank() == 0) atomic_add(visits[unit], 1u);
  }
}
__global__ void visit_by_block_kernel(Vector<uint32_t> visits, int64_t count) {
  const cg::thread_block block = cg::this_thread_block();
  for (const int64_t unit : units_of(block, count)) {
    if (block.thread_rank() == 0) atomic_add(visits[unit], 1u);
  }
}
__global__ void visit_by_thread_kernel(Vector<uint32_t> visits, int64_t count) {
  for (const int64_t unit : units_of(SingleThread{}, count)) atomic_add(visits[unit], 1u);
}

TEST(ExecutionTest, EveryUnitIsDealtOutOnce) {
  for (const int64_t count : {0, 1, 2, 3, 31, 32, 33, 257, 5000}) {
    const std::vector<uint32_t> none(static_cast<size_t>(count), 0);
    const std::vector<uint32_t> once(static_cast<size_t>(count), 1);
    // The geometry of a launch is sized by a capacity: it may be larger or smaller than the count.
    for (const int64_t capacity : {count, count / 3, 10 * count}) {
      for (const int64_t elements : {1, 100000}) {
        Guarded<uint32_t> visits(none);
        launch("visit_by_tile", tiles_for(capacity, elements), stream(), visit_by_tile_kernel,
               visits.view(), count);
        EXPECT_EQ(visits.host(), once) << "tiles: " << count << " of " << capacity;
        visits.set(none);
        launch("visit_by_block", blocks_for(capacity, elements), stream(), visit_by_block_kernel,
               visits.view(), count);
        EXPECT_EQ(visits.host(), once) << "blocks: " << count << " of " << capacity;
        visits.set(none);
        launch("visit_by_thread", threads_for(capacity, elements), stream(), visit_by_thread_kernel,
               visits.view(), count);
        EXPECT_EQ(visits.host(), once) << "threads: " << count << " of " << capacity;
      }
    }
  }
}

constexpr int kBins = 16;

/// counts[unit, bin] of a block's unit, through shared memory.
__global__ void histogram_kernel(Matrix<uint32_t> counts, Matrix<const int32_t> values) {
  __shared__ SharedArray<uint32_t, kBins> bins;
  const cg::thread_block block = cg::this_thread_block();
  for (const int64_t unit : units_of(block, values.rows)) {
    for (int64_t b = block.thread_rank(); b < kBins; b += block.size()) bins[b] = 0;
    block.sync();
    for (int64_t i = block.thread_rank(); i < values.cols; i += block.size()) {
      atomic_add(bins[values.row(unit)[i]], 1u);
    }
    block.sync();
    for (int64_t b = block.thread_rank(); b < kBins; b += block.size()) {
      counts.row(unit)[b] = bins[b];
    }
    block.sync();
  }
}

TEST(ExecutionTest, ABlockSharesMemoryAndBarriers) {
  for (const int64_t units : {1, 3, 8}) {
    constexpr int64_t kValues = 300;
    const std::vector<int32_t> values = random_below(units * kValues, kBins, 11);
    std::vector<uint32_t> expected(static_cast<size_t>(units * kBins), 0);
    for (int64_t i = 0; i < units * kValues; ++i) {
      ++expected[static_cast<size_t>(i / kValues * kBins + values[static_cast<size_t>(i)])];
    }
    const Guarded<int32_t> in(values);
    const Guarded<uint32_t> counts(units * kBins);
    launch("histogram", blocks_for(units, kValues), stream(), histogram_kernel,
           counts.matrix(units, kBins), Matrix<const int32_t>(in.matrix(units, kValues)));
    EXPECT_EQ(counts.host(), expected);
  }
}

/// Each tile keeps a row of its own of the block's shared memory.
__global__ void tile_reverse_kernel(Matrix<int32_t> out, Vector<int32_t> lanes) {
  constexpr int kMaxTiles = 8;
  __shared__ SharedArray<int32_t, kMaxTiles * 32> rows;
  const WarpTile tile = warp_tile();
  const int64_t own = static_cast<int64_t>(tile.meta_group_rank()) * tile.size();
  for (const int64_t unit : units_of(tile, out.rows)) {
    const int64_t lane = tile.thread_rank();
    rows[own + lane] = static_cast<int32_t>(unit * 100 + lane);
    tile.sync();
    out.row(unit)[lane] = rows[own + tile.size() - 1 - lane];
    tile.sync();
    if (lane == 0) lanes[unit] = static_cast<int32_t>(tile.size());
  }
}

TEST(ExecutionTest, ATilePassesValuesThroughSharedMemory) {
  constexpr int64_t kUnits = 45;
  const Guarded<int32_t> out(kUnits * kMaxLanes);
  const Guarded<int32_t> lanes(kUnits);
  launch("tile_reverse", tiles_for(kUnits, kMaxLanes), stream(), tile_reverse_kernel,
         out.matrix(kUnits, kMaxLanes), lanes.view());
  const int32_t size = lanes.host()[0];
  const std::vector<int32_t> got = out.host();
  for (int32_t unit = 0; unit < kUnits; ++unit) {
    for (int32_t lane = 0; lane < size; ++lane) {
      EXPECT_EQ(got[static_cast<size_t>(unit * kMaxLanes + lane)], unit * 100 + size - 1 - lane);
    }
  }
}

TEST(ExecutionTest, LaunchesAreCounted) {
  const Guarded<uint32_t> visits(std::vector<uint32_t>(8, 0));
  const Counters before = counters();
  launch("visit_by_tile", tiles_for(8, 1), stream(), visit_by_tile_kernel, visits.view(),
         int64_t{8});
  launch("visit_by_tile", tiles_for(8, 1), stream(), visit_by_tile_kernel, visits.view(),
         int64_t{8});
  const Counters after = counters();
  EXPECT_EQ(after.launches - before.launches, 2);
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.synchronizations, before.synchronizations);
  EXPECT_EQ(visits.host(), std::vector<uint32_t>(8, 2));
}

#if defined(DERRD_BACKEND_CPU)

__global__ void scale_kernel(Vector<float> out, Vector<const float> in, float factor) {
  for (const int64_t unit : units_of(SingleThread{}, in.size)) out[unit] = in[unit] * factor;
}

TEST(ExecutionTest, SubnormalNumbersCountAsZeroInKernelsAlone) {
  volatile float outside = 1e-30f;
  for (const int64_t units : {1, 100000}) {  // on the calling thread; on any
    const std::vector<float> values(static_cast<size_t>(units), 1e-30f);
    const Guarded<float> normal(values);
    const Guarded<float> subnormal(std::vector<float>(static_cast<size_t>(units), 1e-40f));
    const Guarded<float> out(units);
    launch("scale", threads_for(units), stream(), scale_kernel, out.view(), normal.const_view(),
           1e-10f);
    EXPECT_EQ(out.host(), std::vector<float>(static_cast<size_t>(units), 0.0f));
    launch("scale", threads_for(units), stream(), scale_kernel, out.view(), subnormal.const_view(),
           1e10f);
    EXPECT_EQ(out.host(), std::vector<float>(static_cast<size_t>(units), 0.0f));
    EXPECT_NE(outside * 1e-10f, 0.0f);
  }
}

#endif

__global__ void write_raw_kernel(int32_t* at) {
  for (const int64_t unit : units_of(SingleThread{}, 1)) at[unit] = 0;
}

TEST(ExecutionTest, GuardedSeesAKernelWriteOutsideOfItsBuffer) {
  for (const int64_t offset : {-64, -1, 0, 9, 10, 73}) {
    const auto write = [&] {
      const Guarded<int32_t> buffer(10);
      launch("write_raw", threads_for(1), stream(), write_raw_kernel, buffer.data() + offset);
    };
    if (offset >= 0 && offset < 10) {
      write();
    } else {
      EXPECT_NONFATAL_FAILURE(write(), "byte " + std::to_string(4 * offset) + " relative");
    }
  }
}

}  // namespace
}  // namespace derrd::test::execution_test
