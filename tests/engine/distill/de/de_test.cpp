#include "engine/distill/de/de.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace derrd::test::de_test {
namespace {

/// The mean share of E weights softmax(noise / temperature) that reach the floor, for equal gates.
double active_share(double temperature, double floor, int experts) {
  constexpr int kDraws = 20000;
  std::mt19937_64 random(7);
  std::extreme_value_distribution<double> gumbel(0, 1);
  std::vector<double> weight(static_cast<size_t>(experts));
  int64_t active = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    for (double& w : weight) w = gumbel(random) / temperature;
    const double greatest = *std::max_element(weight.begin(), weight.end());
    double sum = 0;
    for (double& w : weight) sum += w = std::exp(w - greatest);
    for (const double w : weight) active += w / sum >= floor;
  }
  return static_cast<double>(active) / (static_cast<double>(kDraws) * experts);
}

TEST(ExpectedActiveShare, IsTheMeanOverGumbelNoise) {
  constexpr float kFloor = 0x1p-24f;
  for (const int experts : {30, 100}) {
    for (const float temperature : {1.0f, 0.4f, 0.3f, 0.25f, 0.2f, 0.1f}) {
      EXPECT_NEAR(expected_active_share(temperature, kFloor, experts),
                  active_share(temperature, kFloor, experts), 0.03)
          << experts << " experts at " << temperature;
    }
  }
}

TEST(ExpectedActiveShare, WithoutAFloorWeightsAreActiveUntilTheyUnderflow) {
  EXPECT_LT(expected_active_share(0.2f, 0x1p-24f, 30), 0.6);
  EXPECT_GT(expected_active_share(0.2f, 0.0f, 30), 0.99);
  EXPECT_LT(expected_active_share(0.02f, 0.0f, 30), 0.2);
}

TEST(ExpertHiddenSize, IsBetweenStudentAndTeacherOrHalfOfBoth) {
  EXPECT_EQ(expert_hidden_size(20, 200), 110);
  EXPECT_EQ(expert_hidden_size(25, 250), 137);
  EXPECT_EQ(expert_hidden_size(100, 200), 150);
  EXPECT_EQ(expert_hidden_size(200, 200), 100);
  EXPECT_EQ(expert_hidden_size(7, 7), 3);
  EXPECT_EQ(expert_hidden_size(1, 1), 1);
}

TEST(ExpertPath, IsRoutedWhenFewPairsAreActive) {
  EXPECT_EQ(expert_path(1.0), ExpertPath::kStacked);
  EXPECT_EQ(expert_path(0.1), ExpertPath::kRouted);
}

}  // namespace
}  // namespace derrd::test::de_test
