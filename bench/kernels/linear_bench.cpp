#include "kernels/linear.h"

#include "bench/kernels/support.h"

namespace derrd::bench {
namespace {

/// range(0) rows, range(1) inputs, range(2) outputs.
struct Layer {
  explicit Layer(const benchmark::State& state)
      : rows(state.range(0)),
        inputs(state.range(1)),
        outputs(state.range(2)),
        in(normal_array(rows * inputs, 1)),
        weight(normal_array(outputs * inputs, 2)),
        bias(normal_array(outputs, 3)),
        out(zero_array<float>(rows * outputs)),
        grad_out(normal_array(rows * outputs, 4)),
        grad_in(zero_array<float>(rows * inputs)),
        grad_weight(zero_array<float>(outputs * inputs)),
        grad_bias(zero_array<float>(outputs)) {}

  void forward() const {
    linear_forward(out.matrix(rows, outputs), in.matrix(rows, inputs),
                   weight.matrix(outputs, inputs), bias.view(), Activation::kRelu, nullptr,
                   stream());
  }
  void backward() const {
    linear_backward(grad_in.matrix(rows, inputs), grad_weight.matrix(outputs, inputs),
                    grad_bias.view(), grad_out.matrix(rows, outputs), in.matrix(rows, inputs),
                    out.matrix(rows, outputs), weight.matrix(outputs, inputs), Activation::kRelu,
                    nullptr, stream());
  }
  Work forward_work() const {
    return {.bytes = 4.0 * static_cast<double>(rows * (inputs + 3 * outputs) + inputs * outputs),
            .flops = 2.0 * static_cast<double>(rows * inputs * outputs)};
  }
  Work backward_work() const {
    return {.bytes =
                4.0 * static_cast<double>(rows * (2 * inputs + 6 * outputs) + 3 * inputs * outputs),
            .flops = 4.0 * static_cast<double>(rows * inputs * outputs)};
  }

  int64_t rows, inputs, outputs;
  DeviceArray<float> in, weight, bias, out, grad_out, grad_in, grad_weight, grad_bias;
};

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"N", "k", "n"});
  benchmark->Args({1000, 200, 30});     // a gate of Distillation Experts
  benchmark->Args({1000000, 200, 30});  // many
  benchmark->Args({8192, 500, 250});    // a layer of NeuMF
  wall_clock(benchmark);
}

void linear_forward(benchmark::State& state) {
  const Layer layer(state);
  measure(state, layer.forward_work(), [&] { layer.forward(); });
}
BENCHMARK(linear_forward)->Apply(shapes);

void linear_backward(benchmark::State& state) {
  const Layer layer(state);
  layer.forward();
  measure(state, layer.backward_work(), [&] { layer.backward(); });
}
BENCHMARK(linear_backward)->Apply(shapes);

}  // namespace
}  // namespace derrd::bench
