#include "kernels/models/bce.h"

#include <limits>
#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/neumf.h"

namespace derrd::test::bce_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Result {
  std::vector<float> loss, grad;
};

Result run(const std::vector<float>& scores, const std::vector<float>& targets,
           int32_t active = -1) {
  const auto n = static_cast<int64_t>(scores.size());
  const Guarded<float> score(scores), target(targets), loss(n), grad(n);
  const Guarded<int32_t> count({active});
  binary_cross_entropy(loss.view(), grad.view(), score.const_view(), target.const_view(),
                       active < 0 ? nullptr : count.data(), stream());
  return {loss.host(), grad.host()};
}

/// d loss / d score without cancellation.
double derivative(double x, double t) {
  const auto sigmoid = [](double z) {
    return z > 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
  };
  return (1 - t) * sigmoid(x) - t * sigmoid(-x);
}

TEST(BinaryCrossEntropy, MatchesOracleAtExtremeScores) {
  std::vector<float> scores = {0.0f,   1e-6f, -1e-6f, 80.0f, -80.0f, 87.0f,
                               -87.0f, 1e4f,  -1e4f,  3e38f, -3e38f};
  for (float x = -20.0f; x <= 20.0f; x += 0.25f) scores.push_back(x);
  for (const float t : {0.0f, 1.0f, 0.25f}) {
    const Result result = run(scores, std::vector<float>(scores.size(), t));
    std::vector<double> loss, grad;
    for (const float x : scores) {
      loss.push_back(oracle::binary_cross_entropy(x, t));
      grad.push_back(derivative(x, t));
    }
    // exp, the logarithm and a division, each within a few units of the last place, of the result
    // itself; of a soft target's gradient, of its two terms, which cancel near the target. 1e-40 is
    // below float's normal numbers.
    EXPECT_TRUE(close(result.loss, loss, 1e-40, 5e-7));
    EXPECT_TRUE(close(result.grad, grad, t == 0.25f ? 3e-7 : 1e-40, 5e-7));
  }
}

TEST(BinaryCrossEntropy, MatchesFiniteDifferences) {
  for (const float t : {0.0f, 1.0f, 0.7f}) {
    std::vector<double> expected;
    const std::vector<float> scores = random_normal(257, 1, 3.0f);
    for (double x : scores) {
      expected.push_back(finite_difference(x, [&] { return oracle::binary_cross_entropy(x, t); }));
    }
    EXPECT_TRUE(close(run(scores, std::vector<float>(257, t)).grad, expected, 3e-7, 1e-6));
  }
}

TEST(BinaryCrossEntropy, MatchesOracleOnEdgeSizes) {
  for (const int64_t n : kEdgeSizes) {
    const std::vector<float> scores = random_normal(n, 2), targets(scores.size(), 1.0f);
    const Result all = run(scores, targets);
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_NEAR(all.loss[i], oracle::binary_cross_entropy(scores[i], 1), 1e-6);
    }
    const auto active = static_cast<int32_t>(n / 2);
    const Result some = run(scores, targets, active);
    for (size_t i = 0; i < scores.size(); ++i) {
      EXPECT_EQ(some.loss[i], i < static_cast<size_t>(active) ? all.loss[i] : 0.0f);
      EXPECT_EQ(some.grad[i], i < static_cast<size_t>(active) ? all.grad[i] : 0.0f);
    }
  }
}

TEST(BinaryCrossEntropy, KeepsNanAndInfinity) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Result r =
      run({nan, nan, kInfinity, kInfinity, -kInfinity, -kInfinity}, {0, 1, 0, 1, 0, 1});
  EXPECT_TRUE(std::isnan(r.loss[0]) && std::isnan(r.grad[0]));
  EXPECT_TRUE(std::isnan(r.loss[1]) && std::isnan(r.grad[1]));
  EXPECT_EQ(std::vector<float>(r.loss.begin() + 2, r.loss.end()),
            (std::vector<float>{kInfinity, 0, 0, kInfinity}));
  EXPECT_EQ(std::vector<float>(r.grad.begin() + 2, r.grad.end()),
            (std::vector<float>{1, 0, 0, -1}));
}

TEST(BinaryCrossEntropy, RejectsBadShapes) {
  const Guarded<float> memory(8);
  const auto call = [&](int64_t grad, int64_t score, int64_t target) {
    binary_cross_entropy(memory.view(), memory.view().slice(0, grad), memory.view().slice(0, score),
                         memory.view().slice(0, target), nullptr, stream());
  };
  EXPECT_THROW(call(7, 8, 8), std::invalid_argument);
  EXPECT_THROW(call(8, 7, 8), std::invalid_argument);
  EXPECT_THROW(call(8, 8, 7), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::bce_test
