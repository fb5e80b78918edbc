#include "kernels/common/initialize.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::initialize_bench {
namespace {

constexpr RandomKey kKey = {.seed = 1};

void normal(benchmark::State& state) {
  const DeviceArray<float> values = zero_array<float>(state.range(0));
  measure(state, {.bytes = static_cast<double>(values.bytes())},
          [&] { initialize_normal(values.view(), 0.01f, kKey, 0, stream()); });
}
BENCHMARK(normal)->Name("initialize_normal")->Apply(wall_clock)->ArgNames({"n"})->Arg(608'000);

void uniform(benchmark::State& state) {
  const DeviceArray<float> values = zero_array<float>(state.range(0));
  measure(state, {.bytes = static_cast<double>(values.bytes())},
          [&] { initialize_uniform(values.view(), 0.01f, kKey, 0, stream()); });
}
BENCHMARK(uniform)->Name("initialize_uniform")->Apply(wall_clock)->ArgNames({"n"})->Arg(608'000);

[[maybe_unused]] const bool large =
    add_large({"n"}, {{128'000'000}}, [](const Arguments& shape) { return 4 * shape[0]; },
              {{"initialize_normal", normal}, {"initialize_uniform", uniform}});

}  // namespace
}  // namespace derrd::bench::initialize_bench
