#include "kernels/models/embedding.h"

#include "bench/kernels/epoch/ranking_lists.h"
#include "bench/kernels/large.h"
#include "bench/kernels/support.h"
#include "tests/cases/batch_rows.h"

namespace derrd::bench::embedding_bench {
namespace {

/// A batch of B samples: range(0) table rows, range(1) B, range(2) D.
struct Batch {
  Batch(const benchmark::State& state, const DeviceArray<int32_t>& row_of_sample)
      : table_rows(state.range(0)),
        samples(state.range(1)),
        cols(state.range(2)),
        rows(row_of_sample.to_host(stream())),
        cursor(one_batch(samples)),
        table(random_array(table_rows * cols, 2)),
        gradient(zero_array<float>(table_rows * cols)),
        batch_rows(random_array(rows.capacity * cols, 3)),
        source_rows(index_array(samples, table_rows, 4)),
        coefficient(random_array(samples, 5)) {}

  static int64_t bytes(const Arguments& shape) {
    const int64_t table_rows = shape[0], samples = shape[1], cols = shape[2];
    return 4 * cols * (2 * table_rows + samples) + (cases::BatchRows::kSampleBytes + 20) * samples;
  }
  double row_bytes() const { return 4.0 * static_cast<double>(cols); }
  double distinct() const { return static_cast<double>(rows.capacity); }
  double count() const { return static_cast<double>(samples); }

  int64_t table_rows, samples, cols;
  cases::BatchRows rows;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<float> table, gradient, batch_rows;
  DeviceArray<int32_t> source_rows;
  DeviceArray<float> coefficient;
};

/// Rows are uniform over the table.
struct UniformBatch : Batch {
  explicit UniformBatch(const benchmark::State& state)
      : Batch(state, index_array(state.range(1), state.range(0), 1)) {}
};
/// Popular rows occur in thousands of samples, and each of them is one block's work.
struct PopularBatch : Batch {
  explicit PopularBatch(const benchmark::State& state)
      : Batch(state, popular_array(state.range(1), state.range(0), 1)) {}
};

// The rows' numbers, 4 bytes each, are read too.
void gather(benchmark::State& state) {
  const Batch& b = kept_data<UniformBatch, 3>(state);
  measure(state, {.bytes = b.distinct() * (2 * b.row_bytes() + 4)}, [&] {
    gather_rows(b.batch_rows.matrix(b.rows.capacity, b.cols), 0,
                b.table.matrix(b.table_rows, b.cols), b.rows.view(), stream());
  });
}

void add(benchmark::State& state) {
  const Batch& b = kept_data<UniformBatch, 3>(state);
  measure(state, {.bytes = b.distinct() * (3 * b.row_bytes() + 4)}, [&] {
    add_rows(b.gradient.matrix(b.table_rows, b.cols), b.batch_rows.matrix(b.rows.capacity, b.cols),
             0, b.rows.view(), stream());
  });
}

void accumulate(benchmark::State& state, const Batch& b) {
  const Work work = {
      .bytes = b.count() * (b.row_bytes() + 12) + b.distinct() * (2 * b.row_bytes() + 8),
      .flops = b.count() * b.row_bytes() / 2};
  measure(state, work, [&] {
    accumulate_rows(b.gradient.matrix(b.table_rows, b.cols),
                    {b.table.matrix(b.table_rows, b.cols), b.source_rows.view(),
                     b.coefficient.view(), b.cursor.data()},
                    b.rows.view(), stream());
  });
}
void accumulate_uniform(benchmark::State& state) {
  accumulate(state, kept_data<UniformBatch, 3>(state));
}
void accumulate_popular(benchmark::State& state) {
  accumulate(state, kept_data<PopularBatch, 3>(state));
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"rows", "B", "D"});
  for (const int64_t cols : {20, 25, 50, 100, 200, 250}) benchmark->Args({25'181, 1024, cols});
}
BENCHMARK(gather)->Name("gather_rows")->Apply(shapes);
BENCHMARK(add)->Name("add_rows")->Apply(shapes);
BENCHMARK(accumulate_uniform)->Name("accumulate_rows")->Apply(shapes);

[[maybe_unused]] const bool large = add_large(
    {"rows", "B", "D"},
    {{1'000'000, 1'000'000, 64},
     {1'000'000, 1'000'000, 128},
     {10'000'000, 1'000'000, 64},
     {10'000'000, 1'000'000, 128}},
    Batch::bytes,
    {{"gather_rows", gather}, {"add_rows", add}, {"accumulate_rows", accumulate_uniform}});
[[maybe_unused]] const bool large_popular =
    add_large({"rows", "B", "D"}, {{1'000'000, 1'000'000, 64}}, Batch::bytes,
              {{"accumulate_rows_popular", accumulate_popular}});

}  // namespace
}  // namespace derrd::bench::embedding_bench
