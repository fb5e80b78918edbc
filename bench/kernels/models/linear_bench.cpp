#include "kernels/models/linear.h"

#include "bench/kernels/large.h"
#include "bench/kernels/support.h"

namespace derrd::bench::linear_bench {
namespace {

/// range(0) rows, range(1) inputs, range(2) outputs.
struct Layer {
  explicit Layer(const benchmark::State& state)
      : rows(state.range(0)),
        inputs(state.range(1)),
        outputs(state.range(2)),
        in(random_array(rows * inputs, 1)),
        weight(random_array(outputs * inputs, 2)),
        bias(random_array(outputs, 3)),
        out(zero_array<float>(rows * outputs)),
        grad_out(random_array(rows * outputs, 4)),
        grad_in(zero_array<float>(rows * inputs)),
        grad_weight(zero_array<float>(outputs * inputs)),
        grad_bias(zero_array<float>(outputs)) {}
  static int64_t bytes(const Arguments& shape) { return 8 * shape[0] * (shape[1] + shape[2]); }

  Matrix<const float> in_matrix() const { return in.matrix(rows, inputs); }
  Matrix<const float> weight_matrix() const { return weight.matrix(outputs, inputs); }
  Matrix<float> out_matrix() const { return out.matrix(rows, outputs); }
  Matrix<float> grad_out_matrix() const { return grad_out.matrix(rows, outputs); }

  LinearCall call() const {
    return {.in = in_matrix(),
            .weight = weight_matrix(),
            .bias = bias.view(),
            .activation = Activation::kRelu};
  }
  void forward() const { linear_forward(out_matrix(), call(), stream()); }
  void backward() const {
    linear_backward({.in = grad_in.matrix(rows, inputs),
                     .weight = grad_weight.matrix(outputs, inputs),
                     .bias = grad_bias.view()},
                    grad_out_matrix(), out_matrix(), call(), stream());
  }
  double flops() const { return 2.0 * static_cast<double>(rows * inputs * outputs); }
  // The library's product has no epilogue, so that the bias and the activation are passes of their
  // own over the outputs.
  Work forward_work() const {
    return {.bytes = 4.0 * static_cast<double>(rows * (inputs + 3 * outputs) + inputs * outputs),
            .flops = flops(),
            .gemm_rate = gemm_rate(out_matrix(), in_matrix(), transpose(weight_matrix()))};
  }
  /// Beside the two products, one after the other.
  Work backward_work() const {
    const double by_weight =
        gemm_rate(grad_weight.matrix(outputs, inputs), transpose(grad_out_matrix()), in_matrix());
    const double by_in =
        gemm_rate(grad_in.matrix(rows, inputs), grad_out_matrix(), weight_matrix());
    return {.bytes =
                4.0 * static_cast<double>(rows * (2 * inputs + 6 * outputs) + 3 * inputs * outputs),
            .flops = 2 * flops(),
            .gemm_rate = 2 / (1 / by_weight + 1 / by_in)};
  }

  int64_t rows, inputs, outputs;
  DeviceArray<float> in, weight, bias, out, grad_out, grad_in, grad_weight, grad_bias;
};

void forward(benchmark::State& state) {
  const Layer& layer = kept_data<Layer, 3>(state);
  measure(state, layer.forward_work(), [&] { layer.forward(); });
}

void backward(benchmark::State& state) {
  const Layer& layer = kept_data<Layer, 3>(state);
  const Work work = layer.backward_work();
  layer.forward();
  measure(state, work, [&] { layer.backward(); });
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"N", "k", "n"});
  benchmark->Args({1000, 200, 30});   // a gate of Distillation Experts
  benchmark->Args({8192, 500, 250});  // a layer of NeuMF
  wall_clock(benchmark);
}
BENCHMARK(forward)->Name("linear_forward")->Apply(shapes);
BENCHMARK(backward)->Name("linear_backward")->Apply(shapes);

// A gate's and a perceptron's shapes.
[[maybe_unused]] const bool large =
    add_large({"N", "k", "n"}, {{1'000'000, 128, 30}, {1'000'000, 128, 64}, {1'000'000, 256, 128}},
              Layer::bytes, {{"linear_forward", forward}, {"linear_backward", backward}});

}  // namespace
}  // namespace derrd::bench::linear_bench
