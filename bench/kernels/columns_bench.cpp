#include "kernels/columns.h"

#include <benchmark/benchmark.h>

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"N", "W", "C"});
  benchmark->Args({2'048, 50, 25});
  benchmark->Args({2'048, 500, 250});
  benchmark->Args({1'000'000, 128, 64});
}

void copy(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), cols = state.range(2);
  const DeviceArray<float> in = normal_array(rows * width, 1, 1.0f);
  const DeviceArray<float> out(rows * cols);
  measure(state, {.bytes = 8.0 * static_cast<double>(rows * cols)}, [&] {
    copy_columns(out.matrix(rows, cols), in.matrix(rows, width), width - cols, stream());
  });
}
BENCHMARK(copy)->Name("copy_columns")->Apply(shapes);

void add(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1), cols = state.range(2);
  const DeviceArray<float> grad_in = zero_array<float>(rows * width);
  const DeviceArray<float> grad_out = normal_array(rows * cols, 1, 1.0f);
  measure(state, {.bytes = 12.0 * static_cast<double>(rows * cols)}, [&] {
    add_columns(grad_in.matrix(rows, width), grad_out.matrix(rows, cols), width - cols, nullptr,
                stream());
  });
}
BENCHMARK(add)->Name("add_columns")->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
