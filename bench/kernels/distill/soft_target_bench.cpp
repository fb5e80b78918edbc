#include "kernels/distill/soft_target.h"

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/large.h"

namespace derrd::bench::soft_target_bench {
namespace {

void loss(benchmark::State& state) {
  const auto batch = scored_batch(state.range(0), state.range(1));
  const DeviceArray<float> memory(batch.score.size());
  const Matrix<float> target = memory.matrix(batch.anchors, batch.slots);
  soft_targets(target, batch.scores(), 2.0f, 0.0f, stream());
  measure(state, {.bytes = 16 * batch.batch_slots()}, [&] {
    soft_target_loss(batch.loss.view(), batch.gradient(),
                     {.score = batch.scores(), .target = target, .batch = batch.batch()}, stream());
  });
}
void targets(benchmark::State& state) {
  const auto batch = scored_batch(state.range(0), state.range(1));
  const DeviceArray<float> target(batch.score.size());
  measure(state, {.bytes = 8 * batch.batch_slots()}, [&] {
    soft_targets(target.matrix(batch.anchors, batch.slots), batch.scores(), 2.0f, 0.0f, stream());
  });
}
void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"B", "n"});
  benchmark->Args({850, 50});
}
BENCHMARK(loss)->Name("soft_target_loss")->Apply(shapes);
BENCHMARK(targets)->Name("soft_targets")->Apply(shapes);

[[maybe_unused]] const bool large =
    add_large({"B", "n"}, {{100'000, 50}, {100'000, 512}},
              [](const Arguments& shape) { return 16 * shape[0] * (shape[1] + 1); },
              {{"soft_target_loss", loss}, {"soft_targets", targets}});

}  // namespace
}  // namespace derrd::bench::soft_target_bench
