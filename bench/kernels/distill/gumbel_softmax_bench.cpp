#include "tests/cases/gumbel_softmax.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::gumbel_softmax_bench {
namespace {

/// range(0) entities, range(1) experts.
struct Gate : cases::GumbelSoftmaxCase<DeviceArray> {
  explicit Gate(const benchmark::State& state)
      : GumbelSoftmaxCase({.capacity = state.range(0),
                           .count = static_cast<int32_t>(state.range(0)),
                           .experts = state.range(1)},
                          {7, 0.5f}, normal_array(state.range(0) * state.range(1), 1)),
        grad_weight(random_array(logits.size(), 2)) {
    forward();
  }
  /// Adds the time per weight, the figure that the random numbers and logarithms decide.
  void report(benchmark::State& state) const {
    state.counters["s/weight"] = benchmark::Counter(
        static_cast<double>(logits.size()),
        benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  }

  DeviceArray<float> grad_weight;
};

void forward(benchmark::State& state) {
  const Gate& gate = kept_data<Gate, 2>(state);
  measure(state, gate.forward_work(), [&] { gate.forward(); });
  gate.report(state);
}

void backward(benchmark::State& state) {
  const Gate& gate = kept_data<Gate, 2>(state);
  measure(state, gate.backward_work(), [&] { gate.backward(gate.grad_weight); });
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
