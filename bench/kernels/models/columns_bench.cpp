#include "kernels/models/columns.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::columns_bench {
namespace {

void copy(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), cols = state.range(2);
  const DeviceArray<float> in = random_array(rows * width, 1);
  const DeviceArray<float> out(rows * cols);
  measure(state, {.bytes = 8.0 * static_cast<double>(rows * cols)}, [&] {
    copy_columns(out.matrix(rows, cols), in.matrix(rows, width), width - cols, stream());
  });
}

void add(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), cols = state.range(2);
  const DeviceArray<float> grad_in = zero_array<float>(rows * width);
  const DeviceArray<float> grad_out = random_array(rows * cols, 1);
  measure(state, {.bytes = 12.0 * static_cast<double>(rows * cols)}, [&] {
    add_columns(grad_in.matrix(rows, width), grad_out.matrix(rows, cols), width - cols, nullptr,
                stream());
  });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"N", "W", "C"});
  benchmark->Args({2'048, 50, 25});
  benchmark->Args({2'048, 500, 250});
}
BENCHMARK(copy)->Name("copy_columns")->Apply(shapes);
BENCHMARK(add)->Name("add_columns")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"N", "W", "C"}, {{1'000'000, 128, 64}, {1'000'000, 256, 128}, {10'000'000, 128, 64}},
              [](const Arguments& shape) { return 4 * shape[0] * (shape[1] + shape[2]); },
              {{"copy_columns", copy}, {"add_columns", add}});

}  // namespace
}  // namespace derrd::bench::columns_bench
