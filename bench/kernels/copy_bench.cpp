#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

/// The roof itself, at sizes that fit the caches and sizes that do not.
void copy(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> from = zero_array<float>(n);
  const DeviceArray<float> to = zero_array<float>(n);
  measure(state, {static_cast<double>(2 * from.bytes()), 0},
          [&] { copy_with_all_threads(to, from); });
}
BENCHMARK(copy)->Apply(wall_clock)->Arg(608'000)->Arg(6'080'000)->Arg(int64_t{1} << 26);

}  // namespace
}  // namespace derrd::bench
