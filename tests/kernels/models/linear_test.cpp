#include "kernels/models/linear.h"

#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/linear.h"

namespace derrd::test::linear_test {
namespace {

/// A layer with active rows and others, which hold finite values.
struct Layer {
  Layer(int64_t rows, int64_t active_rows, int64_t inputs, int64_t outputs, Activation f)
      : capacity(rows),
        active(active_rows),
        k(inputs),
        n(outputs),
        activation(f),
        in(random_normal(rows * k, 1)),
        weight(random_normal(n * k, 2)),
        bias(random_normal(n, 3)),
        grad_out(random_normal(rows * n, 4)),
        active_count({static_cast<int32_t>(active)}),
        out(rows * n) {}

  LinearCall call() const {
    return {.in = in.matrix(capacity, k),
            .weight = weight.matrix(n, k),
            .bias = bias.view(),
            .activation = activation,
            .active = active_count.data()};
  }
  void forward() { linear_forward(out.matrix(capacity, n), call(), stream()); }
  void backward(const Guarded<float>& grad_in, const Guarded<float>& grad_weight,
                const Guarded<float>& grad_bias) {
    linear_backward({.in = grad_in.matrix(capacity, k),
                     .weight = grad_weight.matrix(n, k),
                     .bias = grad_bias.view()},
                    grad_out.matrix(capacity, n), out.matrix(capacity, n), call(), stream());
  }
  oracle::Linear plain() const {
    std::vector<double> active_in = to_double(in.host());
    active_in.resize(static_cast<size_t>(active * k));
    return {active,
            k,
            n,
            active_in,
            to_double(weight.host()),
            to_double(bias.host()),
            activation == Activation::kRelu};
  }

  int64_t capacity, active, k, n;
  Activation activation;
  Guarded<float> in, weight, bias, grad_out;
  Guarded<int32_t> active_count;
  Guarded<float> out;
};

std::vector<float> first(const std::vector<float>& values, int64_t count) {
  return {values.begin(), values.begin() + count};
}

void expect_zero_from(const std::vector<float>& values, int64_t begin) {
  for (size_t i = static_cast<size_t>(begin); i < values.size(); ++i)
    ASSERT_EQ(values[i], 0.0f) << i;
}

using Shape = std::array<int64_t, 4>;  ///< rows, active ones, inputs, outputs
class LinearShapes : public ::testing::TestWithParam<Shape> {};

// Sums of up to 257 products of normal numbers (size about 16): rounding errors of random sign are
// far below 257 * 2^-24 * 16, 2.5e-4; 5e-5 holds what occurs.
constexpr double kTolerance = 5e-5;

TEST_P(LinearShapes, MatchesOracle) {
  const auto [rows, active, inputs, outputs] = GetParam();
  for (const Activation activation : {Activation::kNone, Activation::kRelu}) {
    Layer layer(rows, active, inputs, outputs, activation);
    const oracle::Linear plain = layer.plain();
    layer.forward();
    EXPECT_TRUE(close(first(layer.out.host(), active * outputs), oracle::linear_forward(plain),
                      kTolerance, kTolerance));
    expect_zero_from(layer.out.host(), active * outputs);

    std::vector<double> grad_out = to_double(layer.grad_out.host());
    grad_out.resize(static_cast<size_t>(active * outputs));
    oracle::LinearGradients expected = oracle::linear_backward(plain, grad_out);
    const std::vector<float> weight_before = random_normal(outputs * inputs, 5);
    const std::vector<float> bias_before = random_normal(outputs, 6);
    const Guarded<float> grad_in(rows * inputs);
    const Guarded<float> grad_weight(weight_before);
    const Guarded<float> grad_bias(bias_before);
    layer.backward(grad_in, grad_weight, grad_bias);
    for (size_t i = 0; i < weight_before.size(); ++i) expected.weight[i] += weight_before[i];
    for (size_t i = 0; i < bias_before.size(); ++i) expected.bias[i] += bias_before[i];
    EXPECT_TRUE(close(first(grad_in.host(), active * inputs), expected.in, kTolerance, kTolerance));
    EXPECT_TRUE(close(grad_weight.host(), expected.weight, kTolerance, kTolerance));
    EXPECT_TRUE(close(grad_bias.host(), expected.bias, kTolerance, kTolerance));
    expect_zero_from(layer.grad_out.host(), active * outputs);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, LinearShapes,
                         ::testing::ValuesIn(std::vector<Shape>{{0, 0, 3, 2},
                                                                {1, 1, 1, 1},
                                                                {4, 0, 3, 2},
                                                                {31, 31, 33, 32},
                                                                {33, 31, 32, 31},
                                                                {7, 5, 0, 3},
                                                                {40, 37, 5, 257},
                                                                {257, 250, 20, 33}}),
                         [](const auto& test) {
                           const auto text = [&](size_t i) {
                             return std::to_string(test.param[i]);
                           };
                           return "N" + text(1) + "of" + text(0) + "k" + text(2) + "n" + text(3);
                         });

TEST(Linear, MatchesFiniteDifferences) {
  oracle::Linear layer = Layer(5, 5, 4, 3, Activation::kRelu).plain();
  const std::vector<double> grad_out = to_double(random_normal(15, 9));
  const auto loss = [&] { return weighted_sum(oracle::linear_forward(layer), grad_out); };
  const oracle::LinearGradients grad = oracle::linear_backward(layer, grad_out);
  const auto check = [&](std::vector<double>& values, const std::vector<double>& expected) {
    // Linear in each value but at a kink, of which there is none within the step.
    const std::vector<double> actual = finite_differences(values, loss, 1e-4);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-9);
  };
  check(layer.in, grad.in);
  check(layer.weight, grad.weight);
  check(layer.bias, grad.bias);
}

TEST(Linear, KeepsNanThroughRelu) {
  Layer layer(2, 2, 3, 2, Activation::kRelu);
  std::vector<float> in = layer.in.host();
  in[1] = std::numeric_limits<float>::quiet_NaN();
  layer.in.set(in);
  layer.forward();
  const std::vector<float> out = layer.out.host();
  EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1]));
  EXPECT_FALSE(std::isnan(out[2]) || std::isnan(out[3]));
}

TEST(Linear, WithoutCountAndInputGradient) {
  Layer layer(9, 9, 4, 3, Activation::kNone);
  LinearCall call = layer.call();
  call.active = {};
  linear_forward(layer.out.matrix(9, 3), call, stream());
  EXPECT_TRUE(
      close(layer.out.host(), oracle::linear_forward(layer.plain()), kTolerance, kTolerance));
  const Guarded<float> grad_weight(std::vector<float>(12));
  const Guarded<float> grad_bias(std::vector<float>(3));
  const std::vector<double> grad_out = to_double(layer.grad_out.host());
  linear_backward({.weight = grad_weight.matrix(3, 4), .bias = grad_bias.view()},
                  layer.grad_out.matrix(9, 3), {}, call, stream());
  EXPECT_TRUE(close(grad_weight.host(), oracle::linear_backward(layer.plain(), grad_out).weight,
                    kTolerance, kTolerance));
}

/// A gradient of small integers, whose sums are exact in any order, of rows for several parts.
TEST(Linear, SumsTheBiasOfManyRows) {
  constexpr int64_t kRows = 9000, kActive = 8999, kOutputs = 11;
  Layer layer(kRows, kActive, 2, kOutputs, Activation::kNone);
  std::vector<float> grad_out(kRows * kOutputs);
  std::vector<float> expected(kOutputs, 3.0f);
  for (int64_t i = 0; i < kActive * kOutputs; ++i) {
    grad_out[static_cast<size_t>(i)] = static_cast<float>(i * 31 % 17 - 5);
    expected[static_cast<size_t>(i % kOutputs)] += grad_out[static_cast<size_t>(i)];
  }
  const Guarded<float> grad_weight(std::vector<float>(2 * kOutputs));
  for (const int64_t inputs : {2, 0}) {  // with and without dL/dX, where the parts' sums lie
    layer.grad_out.set(grad_out);
    const Guarded<float> grad_in(kRows * inputs);
    const Guarded<float> grad_bias(std::vector<float>(kOutputs, 3.0f));
    linear_backward({.in = inputs > 0 ? grad_in.matrix(kRows, inputs) : Matrix<float>{},
                     .weight = grad_weight.matrix(kOutputs, 2),
                     .bias = grad_bias.view()},
                    layer.grad_out.matrix(kRows, kOutputs), {}, layer.call(), stream());
    EXPECT_EQ(grad_bias.host(), expected) << inputs;
  }
}

TEST(Linear, RejectsBadShapes) {
  Layer layer(4, 4, 3, 2, Activation::kNone);
  LinearCall transposed_input = layer.call();
  transposed_input.in = layer.in.matrix(3, 4);
  EXPECT_THROW(linear_forward(layer.out.matrix(4, 2), transposed_input, stream()),
               std::invalid_argument);
  LinearCall short_bias = layer.call();
  short_bias.bias = layer.bias.view().slice(0, 1);
  EXPECT_THROW(linear_forward(layer.out.matrix(4, 2), short_bias, stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::linear_test
