#include "kernels/distill/gumbel_softmax.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::gumbel_softmax_bench {
namespace {

/// range(0) entities, range(1) experts.
struct Gate {
  explicit Gate(const benchmark::State& state)
      : rows(state.range(0)),
        experts(state.range(1)),
        logits(normal_array(rows * experts, 1)),
        grad_weight(random_array(rows * experts, 2)),
        weight(zero_array<float>(rows * experts)),
        probability(zero_array<float>(rows * experts)),
        grad_logits(zero_array<float>(rows * experts)),
        cursor(one_batch(rows)),
        epoch(to_device(std::vector<EpochState>{{7, 0.5f}})) {
    forward();
  }

  RowSegments segments() const { return {{}, {}, {}, cursor.data(), rows}; }
  void forward() const {
    gumbel_softmax_forward(weight.matrix(rows, experts), probability.matrix(rows, experts),
                           logits.matrix(rows, experts), segments(), {}, epoch.data(), stream());
  }
  void backward() const {
    gumbel_softmax_backward(grad_logits.matrix(rows, experts), grad_weight.matrix(rows, experts),
                            weight.matrix(rows, experts), probability.matrix(rows, experts),
                            segments(), epoch.data(), stream());
  }
  /// Adds the time per weight, the figure that the random numbers and logarithms decide.
  void report(benchmark::State& state) const {
    state.counters["s/weight"] = benchmark::Counter(
        static_cast<double>(rows * experts),
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  }

  int64_t rows, experts;
  DeviceArray<float> logits, grad_weight, weight, probability, grad_logits;
  DeviceArray<BatchCursor> cursor;
  DeviceArray<EpochState> epoch;
};

void forward(benchmark::State& state) {
  const Gate& gate = kept_data<Gate, 2>(state);
  measure(state, {.bytes = 12.0 * static_cast<double>(gate.rows * gate.experts)},
          [&] { gate.forward(); });
  gate.report(state);
}

void backward(benchmark::State& state) {
  const Gate& gate = kept_data<Gate, 2>(state);
  measure(state, {.bytes = 16.0 * static_cast<double>(gate.rows * gate.experts)},
          [&] { gate.backward(); });
  gate.report(state);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"N", "E"});
  benchmark->Args({1000, 30});
  wall_clock(benchmark);
}
BENCHMARK(forward)->Name("gumbel_softmax_forward")->Apply(shapes);
BENCHMARK(backward)->Name("gumbel_softmax_backward")->Apply(shapes);

[[maybe_unused]] const bool large = add_large(
    {"N", "E"}, {{1'000'000, 30}}, [](const Arguments& shape) { return 20 * shape[0] * shape[1]; },
    {{"gumbel_softmax_forward", forward}, {"gumbel_softmax_backward", backward}});

}  // namespace
}  // namespace derrd::bench::gumbel_softmax_bench
