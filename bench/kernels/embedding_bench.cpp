#include "kernels/embedding.h"

#include "bench/kernels/support.h"
#include "tests/kernels/host_segments.h"

namespace derrd::bench {
namespace {

/// A batch of B samples whose rows are uniform over the table: range(0) table rows, range(1) B,
/// range(2) D.
struct Batch {
  explicit Batch(const benchmark::State& state)
      : table_rows(state.range(0)),
        samples(state.range(1)),
        cols(state.range(2)),
        rows(index_array(samples, table_rows, 1).to_host(stream()), samples, stream()),
        cursors(to_device(test::sample_cursors(samples, samples))),
        table(normal_array(table_rows * cols, 2)),
        gradient(zero_array<float>(table_rows * cols)),
        batch_rows(normal_array(rows.capacity * cols, 3)) {}

  int64_t table_rows, samples, cols;
  test::HostSegments rows;
  DeviceArray<BatchCursor> cursors;
  DeviceArray<float> table, gradient, batch_rows;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"rows", "B", "D"});
  for (const int64_t cols : {20, 25, 50, 100, 200, 250}) benchmark->Args({25'181, 1024, cols});
  benchmark->Args({1'000'000, 65'536, 64});
}

void gather(benchmark::State& state) {
  const Batch b(state);
  measure(state, {.bytes = 8.0 * static_cast<double>(b.rows.capacity * b.cols)}, [&] {
    gather_rows(b.batch_rows.matrix(b.rows.capacity, b.cols), 0,
                b.table.matrix(b.table_rows, b.cols), b.rows.view(0), stream());
  });
}
BENCHMARK(gather)->Name("gather_rows")->Apply(shapes);

void add(benchmark::State& state) {
  const Batch b(state);
  measure(state, {.bytes = 12.0 * static_cast<double>(b.rows.capacity * b.cols)}, [&] {
    add_rows(b.gradient.matrix(b.table_rows, b.cols), b.batch_rows.matrix(b.rows.capacity, b.cols),
             0, b.rows.view(0), stream());
  });
}
BENCHMARK(add)->Name("add_rows")->Apply(shapes);

void accumulate(benchmark::State& state) {
  const Batch b(state);
  const DeviceArray<int32_t> source_rows = index_array(b.samples, b.table_rows, 4);
  const DeviceArray<float> coefficient = normal_array(b.samples, 5);
  const Work work = {
      .bytes = static_cast<double>(b.samples * (4 * b.cols + 12) + b.rows.capacity * 8 * b.cols),
      .flops = 2.0 * static_cast<double>(b.samples * b.cols)};
  measure(state, work, [&] {
    accumulate_rows(b.gradient.matrix(b.table_rows, b.cols), b.table.matrix(b.table_rows, b.cols),
                    source_rows.view(), coefficient.view(), b.cursors.data(), 1.0f, b.rows.view(0),
                    stream());
  });
}
BENCHMARK(accumulate)->Name("accumulate_rows")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
