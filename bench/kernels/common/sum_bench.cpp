#include "kernels/common/sum.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::sum_bench {
namespace {

void sum(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> terms = random_array(n, 1);
  const DeviceArray<double> total = zero_array<double>(1);
  measure(state, {.bytes = 4.0 * static_cast<double>(n), .flops = static_cast<double>(n)},
          [&] { accumulate_sum(total.data(), terms.view(), stream()); });
}
BENCHMARK(sum)->Name("accumulate_sum")->Apply(wall_clock)->ArgNames({"n"})->Arg(1024);

// A batch's losses are a million numbers at most.
[[maybe_unused]] const bool large =
    add_large({"n"}, {{1'000'000}, {100'000'000}},
              [](const Arguments& shape) { return 4 * shape[0]; }, {{"accumulate_sum", sum}});

}  // namespace
}  // namespace derrd::bench::sum_bench
