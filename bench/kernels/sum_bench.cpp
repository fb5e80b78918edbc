#include "kernels/sum.h"

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

void sum(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> terms = normal_array(n, 1);
  const DeviceArray<double> total = zero_array<double>(1);
  measure(state, {.bytes = 4.0 * static_cast<double>(n), .flops = static_cast<double>(n)},
          [&] { accumulate_sum(total.data(), terms.view(), stream()); });
}
BENCHMARK(sum)->Apply(wall_clock)->Arg(1024)->Arg(1'000'000);

}  // namespace
}  // namespace derrd::bench
