#include "kernels/epoch/segments.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "tests/cases/sort_arrays.h"

namespace derrd::bench::segments_bench {
namespace {

constexpr int64_t kBatchSize = 1024;

/// range(0) samples, range(1) table rows, range(2) lists.
void build(benchmark::State& state) {
  const int64_t n = state.range(0);
  const int64_t table_rows = state.range(1);
  const int64_t count = state.range(2);
  const int64_t batches = (n + kBatchSize - 1) / kBatchSize;
  const DeviceArray<int32_t> row_of_sample = index_array(n, table_rows, 1);
  const DeviceArray<int32_t> rows(count * n), offsets(count * (n + 1)), occurrences(count * n);
  const DeviceArray<int32_t> batch_offsets(count * (batches + 1)), heads(count * n);
  const cases::SortArrays<DeviceArray> sort(count * n);
  const DeviceArray<uint8_t> scratch(segments_scratch_bytes(count * n));
  std::vector<SegmentList> lists;
  for (int64_t l = 0; l < count; ++l) {
    const auto part = [l](const DeviceArray<int32_t>& array, int64_t size) {
      return array.view().slice(l * size, size);
    };
    lists.push_back({row_of_sample.view(), table_rows, part(rows, n), part(offsets, n + 1),
                     part(occurrences, n), part(batch_offsets, batches + 1)});
  }
  const SegmentWorkspace space = {sort.unsorted(), sort.sorted(), heads.view(), scratch.view()};
  // Rows in; keys and values out, through one sorting pass, and in again twice; three lists out.
  constexpr double kBytesPerSample = 4 + 12 + 24 + 12 + 8 + 4 * 4;
  measure(state, {.bytes = static_cast<double>(count * n) * kBytesPerSample},
          [&] { build_segments(lists, space, kBatchSize, stream()); });
}
BENCHMARK(build)
    ->Name("build_segments")
    ->ArgNames({"n", "rows", "lists"})
    ->Args({115'142, 25'181, 1})
    ->Args({115'142, 25'181, 3})
    ->Apply(wall_clock);

/// range(0) table rows, range(1) of them in the batch.
void locate(benchmark::State& state) {
  const int64_t table_rows = state.range(0), count = state.range(1);
  std::vector<int32_t> distinct(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    distinct[static_cast<size_t>(i)] = static_cast<int32_t>(i * table_rows / count);
  }
  const DeviceArray<int32_t> rows = to_device(distinct);
  const DeviceArray<int32_t> position(table_rows);
  const DeviceArray<BatchCursor> cursor = one_batch(count);
  const RowSegments segments = {rows.view(), {}, {}, cursor.data(), count};
  measure(state, {.bytes = static_cast<double>(count) * 8},
          [&] { locate_rows(position.view(), segments, stream()); });
}
BENCHMARK(locate)
    ->Name("locate_rows")
    ->ArgNames({"rows", "B"})
    ->Args({5'219, kBatchSize})
    ->Args({1'000'000, kBatchSize})
    ->Apply(wall_clock);

[[maybe_unused]] const bool large =
    add_large({"n", "rows", "lists"}, {{10'000'000, 1'000'000, 1}},
              [](const Arguments& shape) { return 80 * shape[0]; }, {{"build_segments", build}});
// Ten million positions fit a large GPU's cache.
[[maybe_unused]] const bool large_table = add_large(
    {"rows", "B"}, {{10'000'000, 1'000'000}, {100'000'000, 1'000'000}},
    [](const Arguments& shape) { return 4 * (shape[0] + shape[1]); }, {{"locate_rows", locate}});

}  // namespace
}  // namespace derrd::bench::segments_bench
