#include "kernels/common/initialize.h"

#include <algorithm>
#include <functional>

#include "tests/kernels/support.h"
#include "tests/oracles/initialize.h"

namespace derrd::test::initialize_test {
namespace {

constexpr RandomKey kKey = {.seed = 0x123456789ABCDEF0, .epoch = 3};
constexpr uint32_t kPurpose = static_cast<uint32_t>(RandomPurpose::kInitialise);

std::vector<float> normal(int64_t n, float sigma, RandomKey key, uint64_t first) {
  const Guarded<float> values(n);
  initialize_normal(values.view(), sigma, key, first, stream());
  return values.host();
}

std::vector<float> uniform(int64_t n, float bound, RandomKey key, uint64_t first) {
  const Guarded<float> values(n);
  initialize_uniform(values.view(), bound, key, first, stream());
  return values.host();
}

/// Begins and ends inside and at the edges of a quad, and beyond 2^32.
const std::vector<uint64_t> kFirsts = {0, 1, 2, 3, 4, (uint64_t{1} << 34) + 3};

// The known answers that Salmon et al. publish with Random123: the oracle's generator is Philox.
TEST(InitializeOracle, IsPhilox) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(oracle::philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(
      oracle::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(InitializeNormal, MatchesOracle) {
  for (const int64_t n : kEdgeSizes) {
    for (const uint64_t first : kFirsts) {
      const auto expected = oracle::initialize_normal(n, 0.5, kKey.seed, kPurpose, 3, first);
      // The angle, up to 2 pi, is off by 2^-22 in float, and the radius is below sigma * 5.8: 7e-7.
      EXPECT_TRUE(close(normal(n, 0.5f, kKey, first), expected, 1e-6, 1e-6)) << n << " " << first;
    }
  }
}

TEST(InitializeUniform, MatchesOracle) {
  for (const int64_t n : kEdgeSizes) {
    for (const uint64_t first : kFirsts) {
      const auto expected = oracle::initialize_uniform(n, 0.3f, kKey.seed, kPurpose, 3, first);
      // 2u - 1 is exact; one product rounds.
      EXPECT_TRUE(close(uniform(n, 0.3f, kKey, first), expected, 0, 6e-8)) << n << " " << first;
    }
  }
}

TEST(Initialize, PiecesAreTheWhole) {
  using Fill = std::function<std::vector<float>(int64_t, float, RandomKey, uint64_t)>;
  for (const Fill& fill : {Fill(normal), Fill(uniform)}) {
    const std::vector<float> whole = fill(100, 0.1f, kKey, 5);
    for (const int64_t cut : {1, 2, 3, 4, 50, 99}) {
      std::vector<float> pieces = fill(cut, 0.1f, kKey, 5);
      const std::vector<float> rest = fill(100 - cut, 0.1f, kKey, 5 + static_cast<uint64_t>(cut));
      pieces.insert(pieces.end(), rest.begin(), rest.end());
      EXPECT_EQ(pieces, whole) << "cut at " << cut;
    }
  }
}

TEST(Initialize, EveryPartOfTheKeyCounts) {
  const std::vector<float> base = normal(8, 1.0f, kKey, 0);
  RandomKey other = kKey;
  other.seed += uint64_t{1} << 32;
  EXPECT_NE(normal(8, 1.0f, other, 0), base);
  other = kKey;
  ++other.epoch;
  EXPECT_NE(normal(8, 1.0f, other, 0), base);
  other = kKey;
  other.purpose = RandomPurpose::kShuffle;
  EXPECT_NE(normal(8, 1.0f, other, 0), base);
  EXPECT_NE(normal(8, 1.0f, kKey, uint64_t{1} << 34), base);
}

// 5 standard errors each: of the mean 1/sqrt(n), of the variance sqrt(2/n), of the fourth moment
// sqrt(96/n); of the product of neighbours, which share a generator's call, 1/sqrt(n).
TEST(InitializeNormal, HasTheMomentsOfTheNormalDistribution) {
  constexpr int64_t kCount = 8192;
  const std::vector<float> values = normal(kCount, 1.0f, kKey, 0);
  double mean = 0, square = 0, fourth = 0, neighbours = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = values[i];
    mean += x / kCount;
    square += x * x / kCount;
    fourth += x * x * x * x / kCount;
    if (i % 2 == 0) neighbours += 2 * x * values[i + 1] / kCount;
  }
  const double error = 1 / std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(mean, 0.0, 5 * error);
  EXPECT_NEAR(square, 1.0, 5 * std::sqrt(2.0) * error);
  EXPECT_NEAR(fourth, 3.0, 5 * std::sqrt(96.0) * error);
  EXPECT_NEAR(neighbours, 0.0, 5 * std::sqrt(2.0) * error);
}

TEST(InitializeUniform, FillsTheOpenInterval) {
  constexpr int64_t kCount = 8192;
  constexpr float kBound = 0.25f;
  const std::vector<float> values = uniform(kCount, kBound, kKey, 0);
  double mean = 0, square = 0;
  for (const float x : values) {
    ASSERT_LT(std::abs(x), kBound);
    mean += x / kBound / kCount;
    square += x * x / (kBound * kBound) / kCount;
  }
  const double error = 1 / std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(mean, 0.0, 5 * std::sqrt(1.0 / 3.0) * error);
  EXPECT_NEAR(square, 1.0 / 3.0, 5 * std::sqrt(4.0 / 45.0) * error);
  // The chance that none of 8192 falls into an outer hundredth is 1e-18.
  EXPECT_GT(*std::max_element(values.begin(), values.end()), 0.98f * kBound);
  EXPECT_LT(*std::min_element(values.begin(), values.end()), -0.98f * kBound);
}

}  // namespace
}  // namespace derrd::test::initialize_test
