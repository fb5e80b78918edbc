#include "bench/kernels/support.h"
#include "kernels/segments.h"

namespace derrd::bench {
namespace {

constexpr int64_t kBatchSize = 1024;

void build_segments_benchmark(benchmark::State& state) {
  const int64_t n = state.range(0);
  const int64_t table_rows = state.range(1);
  const int64_t batches = (n + kBatchSize - 1) / kBatchSize;
  const DeviceArray<int32_t> row_of_sample = index_array(n, table_rows, 1);
  const DeviceArray<int32_t> rows(n), offsets(n + 1), occurrences(n), heads(n);
  const DeviceArray<int32_t> batch_offsets(batches + 1);
  const DeviceArray<uint64_t> unsorted_keys(n), sorted_keys(n);
  const DeviceArray<uint32_t> unsorted_values(n), sorted_values(n);
  const DeviceArray<uint8_t> scratch(segments_scratch_bytes(n));
  const SegmentBuffers buffers = {rows.view(),
                                  offsets.view(),
                                  occurrences.view(),
                                  batch_offsets.view(),
                                  {unsorted_keys.view(), unsorted_values.view()},
                                  {sorted_keys.view(), sorted_values.view()},
                                  heads.view(),
                                  scratch.view()};
  // Rows in; keys and values out, through one sorting pass, and in again twice; three lists out.
  constexpr double kBytesPerSample = 4 + 12 + 24 + 12 + 8 + 4 * 4;
  measure(state, {static_cast<double>(n) * kBytesPerSample, 0},
          [&] { build_segments(buffers, row_of_sample.view(), kBatchSize, table_rows, stream()); });
}
BENCHMARK(build_segments_benchmark)
    ->Name("build_segments/citeulike")
    ->Args({115142, 25181})
    ->Apply(wall_clock);
BENCHMARK(build_segments_benchmark)
    ->Name("build_segments/large")
    ->Args({10'000'000, 1'000'000})
    ->Apply(wall_clock);

void locate_rows_benchmark(benchmark::State& state) {
  const int64_t table_rows = state.range(0);
  std::vector<int32_t> distinct(kBatchSize);
  for (int64_t i = 0; i < kBatchSize; ++i) {
    distinct[static_cast<size_t>(i)] = static_cast<int32_t>(i * table_rows / kBatchSize);
  }
  const DeviceArray<int32_t> rows = to_device(distinct);
  const DeviceArray<int32_t> position(table_rows);
  const DeviceArray<BatchCursor> cursor =
      to_device(std::vector<BatchCursor>{{0, 0, static_cast<int32_t>(kBatchSize)}});
  const RowSegments segments = {rows.view(), {}, {}, cursor.data(), kBatchSize};
  measure(state, {static_cast<double>(table_rows + kBatchSize) * 4, 0},
          [&] { locate_rows(position.view(), segments, stream()); });
}
BENCHMARK(locate_rows_benchmark)->Name("locate_rows/citeulike")->Arg(5219)->Apply(wall_clock);
BENCHMARK(locate_rows_benchmark)->Name("locate_rows/large")->Arg(1'000'000)->Apply(wall_clock);

}  // namespace
}  // namespace derrd::bench
