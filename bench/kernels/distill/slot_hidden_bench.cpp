#include "tests/cases/slot_hidden.h"

#include "bench/kernels/distill/slot_batch.h"
#include "bench/kernels/large.h"

namespace derrd::bench::slot_hidden_bench {
namespace {

/// The perceptron's part of NeuMF's slots; range(4) is the number of hidden units.
struct HiddenBatch : cases::SlotHiddenCase {
  explicit HiddenBatch(const benchmark::State& state)
      : SlotHiddenCase(state.range(1), state.range(4), ranking_slots(state)),
        score(zero_array<float>(pairs)),
        grad_score(random_array(pairs, 4, 1e-3f)),
        grad_hidden(random_array(pairs * cols, 6)),
        grad_weight(zero_array<float>(cols)),
        grad_bias(zero_array<float>(1)),
        sums(zero_array<float>(capacity * (cols + 1))),
        grad_anchor_part(zero_array<float>(capacity * cols)),
        grad_other_part(zero_array<float>(others * cols)),
        positions(pairs),
        rows(pairs),
        active(1) {}
  static int64_t bytes(const Arguments& shape) {
    const int64_t users = shape[0], items = shape[1], batch = shape[2], slots = 2 * shape[3];
    return 8 * shape[4] * (batch * slots + batch + items) + 16 * slots * (users + batch);
  }

  DeviceArray<float> score, grad_score, grad_hidden, grad_weight, grad_bias, sums, grad_anchor_part,
      grad_other_part;
  DeviceArray<int32_t> positions, rows, active;
};

void slots_located(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, b.locate_work(), [&] {
    locate_slots({b.positions.view(), b.rows.view(), b.active.data()}, b.batch(), stream());
  });
}

void output_forward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, b.output_forward_work(), [&] {
    slot_output_forward(b.score.matrix(b.capacity, b.slots), b.output_call(), stream());
  });
}

void output_backward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, b.output_backward_work(), [&] {
    slot_output_backward({.hidden = b.grad_hidden.matrix(b.pairs, b.cols),
                          .weight = b.grad_weight.view(),
                          .bias = b.grad_bias.view(),
                          .sums = b.sums.matrix(b.capacity, b.cols + 1)},
                         b.grad_score.matrix(b.capacity, b.slots), b.output_call(), stream());
  });
}

void hidden_backward(benchmark::State& state) {
  const HiddenBatch& b = kept_data<HiddenBatch, 5>(state);
  measure(state, b.hidden_backward_work(), [&] {
    slot_hidden_backward(b.grad_anchor_part.matrix(b.capacity, b.cols),
                         b.grad_other_part.matrix(b.others, b.cols),
                         b.grad_hidden.matrix(b.pairs, b.cols), b.hidden_call(), stream());
  });
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

[[maybe_unused]] const bool large =
    add_large({"U", "I", "B", "K", "D"},
              {{100'000, 1'000'000, 100'000, 40, 64}, {100'000, 1'000'000, 100'000, 40, 128}},
              HiddenBatch::bytes,
              {{"locate_slots", slots_located},
               {"slot_output_forward", output_forward},
               {"slot_output_backward", output_backward},
               {"slot_hidden_backward", hidden_backward}});

}  // namespace
}  // namespace derrd::bench::slot_hidden_bench
