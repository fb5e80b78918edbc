#include "kernels/initialize.h"

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

constexpr RandomKey kKey = {.seed = 1};

void normal(benchmark::State& state) {
  const DeviceArray<float> values = zero_array<float>(state.range(0));
  measure(state, {.bytes = static_cast<double>(values.bytes())},
          [&] { initialize_normal(values.view(), 0.01f, kKey, 0, stream()); });
}
BENCHMARK(normal)->Name("initialize_normal")->Apply(wall_clock)->Arg(608'000)->Arg(100'000'000);

void uniform(benchmark::State& state) {
  const DeviceArray<float> values = zero_array<float>(state.range(0));
  measure(state, {.bytes = static_cast<double>(values.bytes())},
          [&] { initialize_uniform(values.view(), 0.01f, kKey, 0, stream()); });
}
BENCHMARK(uniform)->Name("initialize_uniform")->Apply(wall_clock)->Arg(608'000)->Arg(100'000'000);

}  // namespace
}  // namespace derrd::bench
