#include "engine/evaluation/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "data/random.h"

namespace derrd::test::bootstrap_test {
namespace {

TEST(Bootstrap, MatchesOracle) {
  constexpr int64_t kRows = 7, kColumns = 3;
  constexpr uint64_t kSeed = 11;
  std::vector<double> values;
  for (int n = 0; n < kRows * kColumns; ++n) values.push_back(std::sin(n));
  const std::vector<double> means = bootstrap_means(values, kColumns, kSeed);
  ASSERT_EQ(means.size(), kColumns * kResamples);
  for (size_t b = 0; b < kResamples; ++b) {
    RandomStream random(kSeed, kBootstrapStream, b);
    std::vector<double> sums(kColumns);
    for (int n = 0; n < kRows; ++n) {
      const uint64_t row = random.below(kRows);
      for (size_t c = 0; c < kColumns; ++c) sums[c] += values[row * kColumns + c];
    }
    for (size_t c = 0; c < kColumns; ++c) {
      ASSERT_NEAR(means[c * kResamples + b], sums[c] / kRows, 1e-14) << b << ", " << c;
    }
  }
}

TEST(Bootstrap, DrawsAsManyRowsAsThereAre) {
  size_t visited = 0;
  resample(9, /*seed=*/4, [&](size_t b, std::span<const uint32_t> times) {
    EXPECT_EQ(b, visited++);
    RandomStream random(4, kBootstrapStream, b);
    std::vector<uint32_t> expected(9);
    for (int n = 0; n < 9; ++n) ++expected[random.below(9)];
    EXPECT_TRUE(std::ranges::equal(times, expected)) << b;
  });
  EXPECT_EQ(visited, kResamples);
}

// The standard error of a mean of n numbers is their deviation / sqrt(n).
TEST(Bootstrap, IntervalHasTheWidthOfTheNormalDistribution) {
  std::vector<double> values;
  RandomStream random(3, 4, 5);
  for (int n = 0; n < 400; ++n) values.push_back(10 + 2 * random.normal());
  const Interval interval = percentile_interval(bootstrap_means(values, 1, 0));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 400;
  EXPECT_NEAR(interval.low, mean - 1.96 * 2 / 20, 0.04);
  EXPECT_NEAR(interval.high, mean + 1.96 * 2 / 20, 0.04);
}

TEST(Bootstrap, KeepsNan) {
  const std::vector<double> means =
      bootstrap_means(std::vector<double>{1, std::nan(""), 1, std::nan("")}, 2, 0);
  EXPECT_EQ(means[0], 1);
  EXPECT_TRUE(std::isnan(means[kResamples]));
}

TEST(Bootstrap, QuantilesAreLinearBetweenNeighbours) {
  std::vector<double> figures(81);
  for (int n = 0; n <= 80; ++n) figures[static_cast<size_t>((n * 7) % 81)] = n;
  EXPECT_DOUBLE_EQ(percentile_interval(figures).low, 2);
  EXPECT_DOUBLE_EQ(percentile_interval(figures).high, 78);
  const std::vector<double> two = {1, 0};
  EXPECT_DOUBLE_EQ(percentile_interval(two).low, 0.025);
  EXPECT_DOUBLE_EQ(percentile_interval(two).high, 0.975);
  EXPECT_DOUBLE_EQ(percentile_interval(std::vector<double>{4}).low, 4);
}

}  // namespace
}  // namespace derrd::test::bootstrap_test
