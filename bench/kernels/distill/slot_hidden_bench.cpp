#include "tests/cases/slot_hidden.h"

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/large.h"

namespace derrd::bench::slot_hidden_bench {
namespace {

/// The perceptron's part of NeuMF's slots; range(4) is the number of hidden units.
struct Batch : cases::SlotHiddenCase<DeviceArray> {
  explicit Batch(const benchmark::State& state)
      : SlotHiddenCase(state.range(1), state.range(4), ranking_slots(state)) {
    output_backward();
  }
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], batch = shape[2], slots = 2 * shape[3];
    return 8 * shape[4] * (batch * slots + batch + items) + 16 * slots * (users + batch);
  }
};

void slots_located(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.locate_work(), [&] { batch.locate(); });
}

void output_forward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.output_forward_work(), [&] { batch.output_forward(); });
}

void output_backward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.output_backward_work(), [&] { batch.output_backward(); });
}

void hidden_backward(benchmark::State& state) {
  const Batch& batch = kept_data<Batch, 5>(state);
  measure(state, batch.hidden_backward_work(), [&] { batch.hidden_backward(); });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  wall_clock(benchmark);
  benchmark->ArgNames({"U", "I", "B", "K", "D"});
  for (const int64_t cols : {20, 100}) benchmark->Args({5'219, 25'181, 850, 40, cols});
}
BENCHMARK(slots_located)->Name("locate_slots")->Apply(shapes);
BENCHMARK(output_forward)->Name("slot_output_forward")->Apply(shapes);
BENCHMARK(output_backward)->Name("slot_output_backward")->Apply(shapes);
BENCHMARK(hidden_backward)->Name("slot_hidden_backward")->Apply(shapes);

[[maybe_unused]] const bool large = add_large(
    {"U", "I", "B", "K", "D"},
    {{100'000, 1'000'000, 100'000, 40, 64}, {100'000, 1'000'000, 100'000, 40, 128}}, Batch::bytes,
    {{"locate_slots", slots_located},
     {"slot_output_forward", output_forward},
     {"slot_output_backward", output_backward},
     {"slot_hidden_backward", hidden_backward}});

}  // namespace
}  // namespace derrd::bench::slot_hidden_bench
