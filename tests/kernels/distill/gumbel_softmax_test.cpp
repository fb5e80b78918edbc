#include "tests/cases/gumbel_softmax.h"

#include <algorithm>
#include <ostream>
#include <stdexcept>

#include "tests/finite_differences.h"
#include "tests/kernels/support.h"
#include "tests/oracles/gumbel_softmax.h"

namespace derrd::test::gumbel_softmax_test {
namespace {

constexpr uint64_t kSeed = 0x123456789abcdefull;
constexpr uint32_t kEpoch = 17;
constexpr RandomPurpose kPurpose = RandomPurpose::kGumbelPositives;

/// A gate at row 5 of the epoch.
struct Gate : cases::GumbelSoftmaxCase<Guarded> {
  Gate(int64_t capacity, int32_t count, int64_t experts, float tau,
       const std::vector<float>& values, int32_t begin = 5)
      : GumbelSoftmaxCase({capacity, count, experts, begin}, {kEpoch, tau},
                          cases::to_device(values)),
        temperature(tau) {}
  Gate(int64_t capacity, int32_t count, int64_t experts, float tau)
      : Gate(capacity, count, experts, tau, random_normal(capacity * experts, 1, 2.0f)) {}

  void forward(float floor = 0, bool noise = true) const {
    GumbelSoftmaxCase::forward({kSeed, kPurpose, floor, noise});
  }
  std::vector<float> backward(const std::vector<float>& grad_weight) const {
    GumbelSoftmaxCase::backward(cases::to_device(grad_weight));
    return grad_logits.host();
  }
  oracle::GumbelSoftmax plain(bool noise = true) const {
    std::vector<double> g = oracle::gumbel_noise(kSeed, static_cast<uint32_t>(kPurpose), kEpoch,
                                                 shape.begin, shape.count, shape.experts);
    if (!noise) std::fill(g.begin(), g.end(), 0.0);
    return {shape.count, shape.experts, to_double(active(logits.to_host(stream()))), g,
            temperature};
  }
  /// The rows of the batch.
  std::vector<float> active(std::vector<float> values) const {
    values.resize(static_cast<size_t>(shape.count * shape.experts));
    return values;
  }
  /// The rows of the batch; the others must be 0.
  std::vector<float> cleared(const std::vector<float>& values) const {
    const auto zero = [](float value) { return value == 0.0f; };
    EXPECT_TRUE(std::all_of(values.begin() + shape.count * shape.experts, values.end(), zero));
    return active(values);
  }

  float temperature;
};

struct Case {
  int64_t capacity;
  int32_t count;
  int64_t experts;
  float tau;

  friend void PrintTo(const Case& c, std::ostream* out) {
    *out << "N" << c.count << "of" << c.capacity << "E" << c.experts;
  }
};
class GumbelSoftmaxCases : public ::testing::TestWithParam<Case> {};

TEST_P(GumbelSoftmaxCases, MatchesOracle) {
  const Case c = GetParam();
  const Gate gate(c.capacity, c.count, c.experts, c.tau);
  gate.forward();
  const oracle::GumbelSoftmax plain = gate.plain();
  const oracle::GumbelSoftmaxForward expected = oracle::gumbel_softmax_forward(plain);
  // Scores are of size up to 32 and off by 2 units in the last place, 4e-6; divided by tau this is
  // the relative error of a weight.
  const double tolerance = 1e-6 + 4e-6 / c.tau;
  EXPECT_TRUE(close(gate.cleared(gate.probability.host()), expected.probability, 1e-37, 2e-6));
  EXPECT_TRUE(close(gate.cleared(gate.weight.host()), expected.weight, 2e-38, tolerance));

  const std::vector<float> grad_weight = random_normal(c.capacity * c.experts, 4);
  const std::vector<double> grad_logits =
      oracle::gumbel_softmax_backward(plain, to_double(gate.active(grad_weight)));
  // Differences of gradients of size 4, times weights with the error above, over tau.
  EXPECT_TRUE(close(gate.cleared(gate.backward(grad_weight)), grad_logits, 8 * tolerance / c.tau,
                    tolerance));
}

INSTANTIATE_TEST_SUITE_P(Shapes, GumbelSoftmaxCases,
                         ::testing::Values(Case{0, 0, 30, 1.0f}, Case{3, 0, 30, 1.0f},
                                           Case{33, 31, 1, 1.0f}, Case{33, 33, 2, 1.0f},
                                           Case{32, 31, 4, 0.3f}, Case{257, 250, 30, 1.0f},
                                           Case{257, 257, 33, 10.0f}, Case{20, 19, 31, 0.1f},
                                           Case{20, 20, 257, 0.5f}),
                         ::testing::PrintToStringParamName());

TEST(GumbelSoftmaxOracle, MatchesFiniteDifferences) {
  for (const float tau : {10.0f, 1.0f, 0.2f}) {
    oracle::GumbelSoftmax gate = Gate(4, 4, 6, tau).plain();
    gate.logits[2] = -30;  // a probability below the 1e-10
    const std::vector<double> grad_weight = to_double(random_normal(24, 3));
    const auto loss = [&] {
      return weighted_sum(oracle::gumbel_softmax_forward(gate).weight, grad_weight);
    };
    const std::vector<double> grad = oracle::gumbel_softmax_backward(gate, grad_weight);
    const std::vector<double> expected = finite_differences(gate.logits, loss);
    for (size_t i = 0; i < grad.size(); ++i) EXPECT_NEAR(grad[i], expected[i], 1e-7) << i;
  }
}

// Where alpha is below the 1e-10 inside the logarithm, its gradient fades, and the gradients of the
// scores no longer sum to 0 on their way through the softmax.
TEST(GumbelSoftmax, ProbabilitiesBelowTheEpsilon) {
  constexpr float kTau = 10.0f;  // so that such experts keep a weight
  const Gate gate(33, 33, 8, kTau, random_normal(33 * 8, 1, 15.0f));
  gate.forward();
  const oracle::GumbelSoftmax plain = gate.plain();
  const oracle::GumbelSoftmaxForward expected = oracle::gumbel_softmax_forward(plain);
  ASSERT_GT(std::count_if(expected.probability.begin(), expected.probability.end(),
                          [](double alpha) { return alpha < 1e-10; }),
            20);
  EXPECT_TRUE(close(gate.weight.host(), expected.weight, 1e-37, 2e-6));
  const std::vector<float> grad_weight = random_normal(33 * 8, 2);
  // Terms of size up to 4 / tau, a few roundings of 6e-8 each.
  EXPECT_TRUE(close(gate.backward(grad_weight),
                    oracle::gumbel_softmax_backward(plain, to_double(grad_weight)), 2e-7, 1e-5));
}

// At the end of the annealing the entity's best expert has the weight 1 and no other has any; the
// factor 1 / tau of the gradient meets exact zeros.
TEST(GumbelSoftmax, IsOneHotAtTheLowestTemperature) {
  const Gate gate(64, 64, 30, 1e-10f);
  gate.forward();
  const oracle::GumbelSoftmaxForward expected = oracle::gumbel_softmax_forward(gate.plain());
  EXPECT_TRUE(close(gate.weight.host(), expected.weight, 1e-30, 0));
  for (const float w : gate.weight.host()) EXPECT_TRUE(w == 0.0f || w == 1.0f) << w;
  for (const float g : gate.backward(random_normal(64 * 30, 2))) EXPECT_EQ(g, 0.0f);
}

TEST(GumbelSoftmax, StaysFiniteForExtremeLogitsAtAnyTemperature) {
  for (const float tau : {1e-10f, 1e-5f, 1e-2f, 1.0f, 10.0f}) {
    for (const float scale : {80.0f, 1e4f}) {
      std::vector<float> logits = random_normal(20 * 30, 1);
      for (float& l : logits) l = l > 0 ? scale : -scale;  // ties among the largest
      const Gate gate(20, 20, 30, tau, logits);
      gate.forward();
      for (int64_t n = 0; n < 20; ++n) {
        const std::vector<float> weight = gate.weight.host();
        double sum = 0;
        for (int64_t m = 0; m < 30; ++m) sum += weight[static_cast<size_t>(n * 30 + m)];
        EXPECT_NEAR(sum, 1.0, 1e-5);
      }
      for (const float g : gate.backward(random_normal(20 * 30, 2))) EXPECT_TRUE(std::isfinite(g));
    }
  }
}

TEST(GumbelSoftmax, HoldsNoSubnormalNumbers) {
  std::vector<float> logits;
  for (int m = 0; m < 257; ++m) logits.push_back(-0.1f * static_cast<float>(m));
  const Gate gate(1, 1, 257, 0.2f, logits);
  gate.forward(0, false);
  const std::vector<float> weight = gate.weight.host();
  size_t zeros = 0;
  for (const float w : weight) {
    EXPECT_TRUE(w == 0.0f || w >= std::numeric_limits<float>::min()) << w;
    zeros += w == 0.0f;
  }
  EXPECT_GT(zeros, 10u);
  EXPECT_LT(zeros, 250u);
}

TEST(GumbelSoftmax, FloorDropsSmallWeightsAndKeepsTheOthersBits) {
  constexpr float kFloor = 1e-3f;
  const Gate gate(40, 40, 30, 0.3f);
  gate.forward();
  const std::vector<float> all = gate.weight.host();
  gate.forward(kFloor);
  const std::vector<float> kept = gate.weight.host();
  size_t dropped = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(kept[i], all[i] < kFloor ? 0.0f : all[i]);
    dropped += all[i] != 0 && kept[i] == 0;
  }
  EXPECT_GT(dropped, 100u);
}

// Entities with one expert left after the floor get no gradient: the weight is not exactly 1, so
// the two terms of the softmax's derivative only nearly cancel, and 1 / tau magnifies what remains.
TEST(GumbelSoftmax, OneExpertLeftHasNoGradient) {
  constexpr int64_t kRows = 20;
  std::vector<float> logits(kRows * 8, 0.0f);
  for (size_t n = 0; n < kRows; ++n) logits[n * 8 + 3] = 8.0f + 0.1f * static_cast<float>(n);
  const Gate gate(kRows, kRows, 8, 1.0f, logits);
  gate.forward(1e-2f, false);
  const std::vector<float> weight = gate.weight.host();
  ASSERT_LT(weight[3], 1.0f);
  ASSERT_EQ(std::count(weight.begin(), weight.end(), 0.0f), kRows * 7);
  for (const float g : gate.backward(random_normal(kRows * 8, 1))) EXPECT_EQ(g, 0.0f);
}

TEST(GumbelSoftmax, AttentionWithoutNoise) {
  const Gate gate(33, 33, 30, 1.0f);
  gate.forward(0, false);
  const oracle::GumbelSoftmaxForward expected = oracle::gumbel_softmax_forward(gate.plain(false));
  EXPECT_TRUE(close(gate.weight.host(), expected.weight, 1e-38, 5e-6));
}

// Some of a table of 50 are left out; the batch has the entities 49, 47, 45, ...
TEST(GumbelSoftmax, EntitiesThatAreLeftOutHaveNoWeightsAndNoGradient) {
  constexpr int64_t kRows = 20, kExperts = 7, kTable = 50;
  constexpr int32_t kBegin = 5;
  const Gate gate(kRows, kRows - 1, kExperts, 0.5f);
  gate.forward();
  const std::vector<float> weight = gate.weight.host();
  const std::vector<float> probability = gate.probability.host();
  const std::vector<float> grad_weight = random_normal(kRows * kExperts, 1);
  const std::vector<float> grad = gate.backward(grad_weight);

  std::vector<int32_t> table_rows(kBegin, -1);  // of the batches before
  for (int32_t n = 0; n < kRows; ++n) table_rows.push_back(kTable - 1 - 2 * n);
  std::vector<uint8_t> included(kTable);
  for (size_t row = 0; row < included.size(); ++row) included[row] = row % 3 != 0;
  const Guarded<int32_t> rows(table_rows);
  const Guarded<uint8_t> part(included);
  GumbelSoftmaxCall call = gate.call({kSeed, kPurpose, 0, true, part.view()});
  call.rows.rows = rows.view();
  gumbel_softmax_forward(
      GumbelSoftmaxForward{gate.matrix(gate.weight), gate.matrix(gate.probability), call},
      stream());
  const std::vector<float> part_grad = gate.backward(grad_weight);
  size_t left_out = 0;
  for (size_t i = 0; i < weight.size(); ++i) {
    const size_t n = i / kExperts;
    const bool in = included[static_cast<size_t>(table_rows[kBegin + n])] != 0;
    left_out += !in && n < kRows - 1;
    EXPECT_EQ(gate.weight.host()[i], in ? weight[i] : 0.0f) << i;
    EXPECT_EQ(gate.probability.host()[i], in ? probability[i] : 0.0f) << i;
    EXPECT_EQ(part_grad[i], in ? grad[i] : 0.0f) << i;
  }
  EXPECT_GT(left_out, 5u * kExperts);
}

TEST(GumbelSoftmax, AddsTheBiasToTheLogits) {
  const std::vector<float> logits = random_normal(20 * 7, 1), bias = random_normal(7, 2);
  std::vector<float> sums = logits;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += bias[i % 7];
  const Gate plain(20, 20, 7, 0.5f, sums), biased(20, 20, 7, 0.5f, logits);
  const Guarded<float> device_bias(bias);
  GumbelSoftmaxCall call = biased.call({kSeed, kPurpose});
  call.bias = device_bias.view();
  plain.forward();
  gumbel_softmax_forward(
      GumbelSoftmaxForward{biased.matrix(biased.weight), biased.matrix(biased.probability), call},
      stream());
  EXPECT_EQ(biased.weight.host(), plain.weight.host());
  EXPECT_EQ(biased.probability.host(), plain.probability.host());
}

TEST(GumbelSoftmax, CountsThePairsOfTheActiveEntities) {
  for (const auto& [active, experts] :
       std::vector<std::pair<int32_t, int64_t>>{{0, 7}, {1, 7}, {33, 7}, {40, 7}, {33, 70}}) {
    const Gate gate(40, active, experts, 0.2f);
    const Guarded<PairCount> pairs{PairCount{5, 8}};  // it accumulates
    GumbelSoftmaxCall call = gate.call({kSeed, kPurpose, 1e-3f});
    call.pairs = pairs.data();
    gumbel_softmax_forward(
        GumbelSoftmaxForward{gate.matrix(gate.weight), gate.matrix(gate.probability), call},
        stream());
    const std::vector<float> weight = gate.weight.host();
    const int64_t zeros = std::count(weight.begin(), weight.end(), 0.0f);
    EXPECT_EQ(pairs.host()[0].active, 5 + 40 * experts - zeros) << active;
    EXPECT_EQ(pairs.host()[0].all, 8 + active * experts) << active;
  }
}

// Two gates in one launch are those of two launches.
TEST(GumbelSoftmax, SeveralPassesAreIndependent) {
  const Gate a(20, 19, 7, 0.5f), b(33, 31, 4, 1.0f), a_alone(20, 19, 7, 0.5f),
      b_alone(33, 31, 4, 1.0f);
  a_alone.forward();
  b_alone.forward();
  const Guarded<PairCount> pairs{PairCount{}};
  CallList<GumbelSoftmaxForward> passes;
  for (const Gate* gate : {&a, &b}) {
    GumbelSoftmaxCall call = gate->call({kSeed, kPurpose});
    call.pairs = pairs.data();
    passes.add({gate->matrix(gate->weight), gate->matrix(gate->probability), call});
  }
  gumbel_softmax_forward(passes, stream());
  EXPECT_EQ(a.weight.host(), a_alone.weight.host());
  EXPECT_EQ(b.weight.host(), b_alone.weight.host());
  EXPECT_EQ(pairs.host()[0].all, 19 * 7 + 31 * 4);
}

TEST(GumbelSoftmax, NoiseBelongsToTheRowOfTheEpoch) {
  const std::vector<float> logits(20 * 7, 0.0f);
  const Gate whole(20, 20, 7, 1.0f, logits, 0);
  const Gate later(12, 12, 7, 1.0f, std::vector<float>(12 * 7, 0.0f), 8);
  whole.forward();
  later.forward();
  const std::vector<float> all = whole.weight.host();
  EXPECT_EQ(later.weight.host(), std::vector<float>(all.begin() + 8 * 7, all.end()));
}

TEST(GumbelSoftmax, KeepsNanInItsRow) {
  std::vector<float> logits = random_normal(3 * 30, 1);
  logits[35] = std::numeric_limits<float>::quiet_NaN();
  const Gate gate(3, 3, 30, 1.0f, logits);
  gate.forward();
  const std::vector<float> weight = gate.weight.host();
  for (size_t i = 0; i < weight.size(); ++i) EXPECT_EQ(std::isnan(weight[i]), i / 30 == 1) << i;
}

TEST(GumbelSoftmax, RejectsBadShapes) {
  const Gate gate(4, 4, 6, 1.0f);
  const auto forward = [&](int64_t weights, int64_t probabilities, int64_t logits) {
    GumbelSoftmaxCall call = gate.call();
    call.logits.rows = logits;
    gumbel_softmax_forward(GumbelSoftmaxForward{gate.weight.matrix(4, weights),
                                                gate.probability.matrix(probabilities, 6), call},
                           stream());
  };
  EXPECT_NO_THROW(forward(6, 4, 4));
  EXPECT_THROW(forward(5, 4, 4), std::invalid_argument);
  EXPECT_THROW(forward(6, 3, 4), std::invalid_argument);
  EXPECT_THROW(forward(6, 4, 3), std::invalid_argument);
  const auto backward = [&](int64_t grad_logits, int64_t grad_weights, int64_t probabilities) {
    gumbel_softmax_backward(
        GumbelSoftmaxBackward{gate.grad_logits.matrix(4, grad_logits),
                              gate.logits.matrix(grad_weights, 6), gate.weight.matrix(4, 6),
                              gate.probability.matrix(4, probabilities), gate.call()},
        stream());
  };
  EXPECT_NO_THROW(backward(6, 4, 6));
  EXPECT_THROW(backward(5, 4, 6), std::invalid_argument);
  EXPECT_THROW(backward(6, 3, 6), std::invalid_argument);
  EXPECT_THROW(backward(6, 4, 5), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::gumbel_softmax_test
