#include "kernels/update/end_step.h"

#include <array>

#include "bench/kernels/support.h"

namespace derrd::bench::end_step_bench {
namespace {

/// range(0) terms of each of three losses.
void step(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> terms = random_array(n, 1);
  const DeviceArray<double> totals = zero_array<double>(3);
  const DeviceArray<int64_t> steps = zero_array<int64_t>(1);
  const DeviceArray<AdamCorrections> corrections(1);
  const std::array<LossTerms, 3> losses = {{{totals.data(), terms.view()},
                                            {totals.data() + 1, terms.view()},
                                            {totals.data() + 2, terms.view()}}};
  const double elements = 3.0 * static_cast<double>(n);
  measure(state, {.bytes = 4 * elements, .flops = elements}, [&] {
    end_step(losses, {}, {steps.data(), corrections.view()}, {}, stream());
  });
}
BENCHMARK(step)->Name("end_step")->Apply(wall_clock)->ArgNames({"n"})->Arg(1024);

}  // namespace
}  // namespace derrd::bench::end_step_bench
