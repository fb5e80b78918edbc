#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::copy_bench {
namespace {

/// The roof itself, at sizes that fit the caches and sizes that do not.
void copy(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> from = zero_array<float>(n);
  const DeviceArray<float> to = zero_array<float>(n);
  measure(state, {.bytes = static_cast<double>(2 * from.bytes())},
          [&] { copy_with_all_threads(to, from); });
}
BENCHMARK(copy)->Apply(wall_clock)->ArgNames({"n"})->Arg(608'000)->Arg(6'080'000);

[[maybe_unused]] const bool large =
    add_large({"n"}, {{int64_t{1} << 26}, {int64_t{1} << 28}},
              [](const Arguments& shape) { return 8 * shape[0]; }, {{"copy", copy}});

}  // namespace
}  // namespace derrd::bench::copy_bench
