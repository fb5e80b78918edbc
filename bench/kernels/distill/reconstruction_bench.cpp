#include "kernels/distill/reconstruction.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::reconstruction_bench {
namespace {

void loss(benchmark::State& state) {
  const int64_t rows = state.range(0), width = state.range(1);
  const DeviceArray<float> reconstruction = random_array(rows * width, 1);
  const DeviceArray<float> teacher = random_array(rows * width, 2);
  const DeviceArray<float> gradient(rows * width), losses(rows);
  const DeviceArray<int32_t> active_rows =
      to_device(std::vector<int32_t>{static_cast<int32_t>(rows)});
  measure(state, {.bytes = static_cast<double>(rows * (12 * width + 4))}, [&] {
    reconstruction_loss(ReconstructionCall{.loss = losses.view(),
                                           .grad_reconstruction = gradient.matrix(rows, width),
                                           .reconstruction = reconstruction.matrix(rows, width),
                                           .teacher = teacher.matrix(rows, width),
                                           .active = active_rows.data()},
                        stream());
  });
}
BENCHMARK(loss)
    ->Name("reconstruction_loss")
    ->ArgNames({"N", "T"})
    ->Args({1000, 200})
    ->Apply(wall_clock);
[[maybe_unused]] const bool large =
    add_large({"N", "T"}, {{1'000'000, 64}, {1'000'000, 128}},
              [](const Arguments& shape) { return 12 * shape[0] * (shape[1] + 1); },
              {{"reconstruction_loss", loss}});

}  // namespace
}  // namespace derrd::bench::reconstruction_bench
