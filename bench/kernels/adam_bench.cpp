#include "kernels/adam.h"

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

void adam(benchmark::State& state) {
  const int64_t n = state.range(0);
  const DeviceArray<float> parameters = normal_array(n, 1, 0.01f);
  const DeviceArray<float> first_moment = zero_array<float>(n);
  const DeviceArray<float> second_moment = zero_array<float>(n);
  const DeviceArray<float> gradient = normal_array(n, 2);
  const DeviceArray<AdamStep> step = to_device(std::vector<AdamStep>(1));
  const AdamOptions options = {.weight_decay = 1e-3};
  const Work work = {.bytes = 32.0 * static_cast<double>(n),
                     .flops = 14.0 * static_cast<double>(n)};
  measure(state, work, [&] {
    adam_advance(step.data(), options, stream());
    adam_update(parameters.view(), first_moment.view(), second_moment.view(), gradient.view(),
                options, step.data(), stream());
  });
}
BENCHMARK(adam)->Apply(wall_clock)->Arg(608'000)->Arg(6'080'000)->Arg(100'000'000);

}  // namespace
}  // namespace derrd::bench
