#include "kernels/update/adam.h"

#include <stdexcept>

#include "tests/kernels/support.h"
#include "tests/oracles/adam.h"

namespace derrd::test::adam_test {
namespace {

/// Device buffers of n parameters, and the calls of one step.
struct Adam {
  explicit Adam(const std::vector<float>& start)
      : parameters(start),
        first_moment(std::vector<float>(start.size())),
        second_moment(std::vector<float>(start.size())),
        gradient(static_cast<int64_t>(start.size())),
        steps(std::vector<int64_t>(1)),
        corrections(std::vector<AdamCorrections>(1)) {}

  void update(const std::vector<float>& new_gradient, const AdamOptions& options) {
    gradient.set(new_gradient);
    adam_advance(history(), options, stream());
    adam_update(view(), options, history(), stream());
  }
  AdamParameters view() const {
    return {parameters.view(), first_moment.view(), second_moment.view(), gradient.view()};
  }
  AdamHistory history() const { return {steps.data(), corrections.view()}; }

  Guarded<float> parameters, first_moment, second_moment, gradient;
  Guarded<int64_t> steps;
  Guarded<AdamCorrections> corrections;
};

// One float operation errs by 2^-24 = 6e-8 of its result. m and v are sums of like-signed or
// shrinking terms with three operations a step; a parameter moves by at most about the learning
// rate a step, so its own rounding (2^-24 of its size, per step) dominates.
TEST(Adam, MatchesOracle) {
  constexpr int64_t kSteps = 5;
  const AdamOptions options = {.learning_rate = 2e-3, .weight_decay = 1e-3};
  for (const int64_t n : kEdgeSizes) {
    const std::vector<float> start = random_normal(n, 1, 0.1f);
    Adam adam(start);
    const auto size = static_cast<size_t>(n);
    oracle::AdamState expected{to_double(start), std::vector<double>(size),
                               std::vector<double>(size)};
    for (int64_t t = 1; t <= kSteps; ++t) {
      const std::vector<float> gradient = random_normal(n, 10 + static_cast<uint64_t>(t));
      adam.update(gradient, options);
      oracle::adam_update(expected, to_double(gradient), t, options.learning_rate, options.beta1,
                          options.beta2, options.epsilon, options.weight_decay);
    }
    EXPECT_TRUE(close(adam.parameters.host(), expected.parameters, 1e-8, kSteps * 1e-7));
    EXPECT_TRUE(close(adam.first_moment.host(), expected.first_moment, 3e-7, kSteps * 2e-7));
    EXPECT_TRUE(close(adam.second_moment.host(), expected.second_moment, 1e-9, kSteps * 2e-7));
    EXPECT_EQ(adam.gradient.host(), std::vector<float>(size));
  }
}

// Three steps of torch.optim.Adam(lr=1e-3, weight_decay=1e-3), PyTorch 2.11, float32 on a CPU.
TEST(Adam, FollowsPyTorchToRounding) {
  const AdamOptions options = {.learning_rate = 1e-3, .weight_decay = 1e-3};
  Adam adam({0.5f, -0.25f, 0.0f, 1e-3f, -2.0f});
  adam.update({1.0f, -2.0f, 0.0f, 1e-6f, 0.0f}, options);
  EXPECT_TRUE(
      close(adam.parameters.host(),
            std::vector<double>{0.499000013, -0.248999998, 0.0, 4.97524161e-06, -1.99899995}, 2e-10,
            1.2e-7));
  adam.update({0.5f, 3.0f, 0.0f, -1e-6f, 0.0f}, options);
  adam.update({-4.0f, 0.125f, 1e-8f, 2e-6f, 100.0f}, options);
  EXPECT_TRUE(close(
      adam.parameters.host(),
      std::vector<double>{0.498489052, -0.249460995, -0.000233896164, -0.000814358587, -1.99863887},
      2e-10, 3 * 1.2e-7));
  EXPECT_TRUE(close(
      adam.first_moment.host(),
      std::vector<double>{-0.273864806, 0.120432429, 9.99999972e-10, 2.46288067e-07, 9.99945831}, 0,
      5e-7));
  EXPECT_TRUE(close(
      adam.second_moment.host(),
      std::vector<double>{0.0172452647, 0.0129980734, 1.0000001e-19, 8.00313405e-15, 9.99960041}, 0,
      5e-7));
}

TEST(Adam, CorrectionsAreThoseOfDoublePrecision) {
  const AdamOptions options = {.learning_rate = 5e-4};
  Guarded<int64_t> steps(std::vector<int64_t>(1));
  Guarded<AdamCorrections> corrections(std::vector<AdamCorrections>(4));
  for (const int64_t t : {1, 2, 10, 1000, 113'000}) {
    steps.set({t - 1});
    adam_advance({steps.data(), corrections.view()}, options, stream());
    EXPECT_EQ(steps.host()[0], t);
    const AdamCorrections now = corrections.host()[static_cast<size_t>(t % 4)];
    // Half a unit in the last place of float, and the device's own pow.
    EXPECT_NEAR(now.step_size / (options.learning_rate / (1 - std::pow(options.beta1, t))), 1.0,
                7e-8);
    EXPECT_NEAR(now.inverse_root_correction * std::sqrt(1 - std::pow(options.beta2, t)), 1.0, 7e-8);
  }
}

TEST(Adam, UpdatesSeveralPartsInOneLaunch) {
  std::vector<Adam> together, apart;
  CallList<AdamParameters> calls;
  for (const int64_t n : kEdgeSizes) {
    const auto seed = static_cast<uint64_t>(n);
    const std::vector<float> gradient = random_normal(n, 100 + seed);
    for (std::vector<Adam>* parts : {&together, &apart}) {
      parts->emplace_back(random_normal(n, seed)).gradient.set(gradient);
    }
    calls.add(together.back().view());
    apart.back().update(gradient, {});
  }
  adam_advance(together[0].history(), {}, stream());
  adam_update(calls, {}, together[0].history(), stream());
  for (size_t i = 0; i < apart.size(); ++i) {
    EXPECT_EQ(together[i].parameters.host(), apart[i].parameters.host());
    EXPECT_EQ(together[i].first_moment.host(), apart[i].first_moment.host());
    EXPECT_EQ(together[i].second_moment.host(), apart[i].second_moment.host());
    EXPECT_EQ(together[i].gradient.host(), apart[i].gradient.host());
  }
}

TEST(Adam, WithoutGradientOrDecayNothingMoves) {
  const std::vector<float> start = random_normal(33, 3);
  Adam adam(start);
  adam.update(std::vector<float>(33), {});
  EXPECT_EQ(adam.parameters.host(), start);
}

TEST(Adam, MovesUntouchedParametersByTheirMoments) {
  Adam adam({1.0f});
  adam.update({1.0f}, {});
  const float after_first = adam.parameters.host()[0];
  adam.update({0.0f}, {});
  EXPECT_LT(adam.parameters.host()[0], after_first);
}

TEST(Adam, KeepsNanInItsElement) {
  Adam adam(std::vector<float>(3, 1.0f));
  adam.update({0.5f, std::numeric_limits<float>::quiet_NaN(), 0.5f}, {});
  const std::vector<float> parameters = adam.parameters.host();
  EXPECT_TRUE(std::isfinite(parameters[0]));
  EXPECT_TRUE(std::isnan(parameters[1]));
  EXPECT_TRUE(std::isfinite(parameters[2]));
}

TEST(Adam, RejectsBadShapes) {
  Guarded<float> four(4), three(3);
  Guarded<int64_t> steps(1);
  Guarded<AdamCorrections> corrections(1);
  const auto update = [&](const Guarded<float>& m, const Guarded<float>& v,
                          const Guarded<float>& g) {
    adam_update(AdamParameters{four.view(), m.view(), v.view(), g.view()}, {},
                {steps.data(), corrections.view()}, stream());
  };
  EXPECT_THROW(update(three, four, four), std::invalid_argument);
  EXPECT_THROW(update(four, three, four), std::invalid_argument);
  EXPECT_THROW(update(four, four, three), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::adam_test
