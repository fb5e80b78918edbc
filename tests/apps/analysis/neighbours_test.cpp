#include "apps/analysis/neighbours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "data/random.h"
#include "tests/apps/analysis/blobs.h"
#include "tests/random_values.h"

namespace derrd::test::neighbours_test {
namespace {

TEST(Neighbours, MatchesOracle) {
  constexpr int64_t kDimensions = 11, kPairs = 1234;
  constexpr uint64_t kPoints = 40, kSeed = 9;
  const std::vector<float> values = random_normal(kPoints * kDimensions, 1);
  std::vector<int32_t> labels;
  for (uint64_t i = 0; i < kPoints; ++i) labels.push_back(values[i * kDimensions] > 0 ? 1 : 0);
  const auto deciles = same_label_by_cosine(Points(values, kDimensions), labels, kPairs, kSeed);

  std::vector<std::pair<double, double>> pairs;  // cosine, whether the labels are the same
  RandomStream random(kSeed, kPairStream, 0);
  for (int n = 0; n < kPairs; ++n) {
    const uint64_t a = random.below(kPoints);
    uint64_t b = random.below(kPoints - 1);
    if (b >= a) ++b;
    double products = 0, squares_a = 0, squares_b = 0;
    for (uint64_t j = 0; j < kDimensions; ++j) {
      const double x = values[a * kDimensions + j], y = values[b * kDimensions + j];
      products += x * y;
      squares_a += x * x;
      squares_b += y * y;
    }
    pairs.emplace_back(products / std::sqrt(squares_a) / std::sqrt(squares_b),
                       labels[a] == labels[b] ? 1 : 0);
  }
  std::sort(pairs.begin(), pairs.end());
  ASSERT_EQ(deciles.size(), 10u);
  size_t at = 0;
  for (const CosineDecile& decile : deciles) {
    EXPECT_NEAR(static_cast<double>(decile.pairs), kPairs / 10.0, 1);
    double cosine = 0, same = 0;
    for (int64_t n = 0; n < decile.pairs; ++n, ++at) {
      cosine += pairs[at].first / static_cast<double>(decile.pairs);
      same += pairs[at].second / static_cast<double>(decile.pairs);
    }
    EXPECT_NEAR(decile.cosine, cosine, 1e-12);
    EXPECT_NEAR(decile.same_label, same, 1e-12);
  }
  EXPECT_EQ(at, pairs.size());
}

TEST(Neighbours, NearPointsOfBlobsHaveTheSameLabel) {
  const Blobs blobs(4, 100, 8, 2);
  const auto deciles = same_label_by_cosine(blobs.points(), blobs.labels, 10000, 0);
  ASSERT_EQ(deciles.size(), 10u);
  EXPECT_EQ(deciles.front().same_label, 0);
  EXPECT_EQ(deciles.back().same_label, 1);
  EXPECT_LT(std::abs(deciles.front().cosine), .3);
  EXPECT_GT(deciles.back().cosine, .9);
}

// Of the three pairs of three points one has the same label.
TEST(Neighbours, PairsAreEquallyLikely) {
  constexpr int64_t kPairs = 30000;
  const std::vector<float> values = {1, 0, 0, 1, 1, 1};
  for (size_t other = 0; other < 3; ++other) {
    std::vector<int32_t> labels(3, 0);
    labels[other] = 1;
    double same = 0;
    for (const auto& decile : same_label_by_cosine(Points(values, 2), labels, kPairs, other)) {
      same += decile.same_label * static_cast<double>(decile.pairs) / kPairs;
    }
    EXPECT_NEAR(same, 1. / 3, 5 * std::sqrt(2. / 9 / kPairs));  // five deviations
  }
}

TEST(Neighbours, CosineOfZeroIsZero) {
  const std::vector<float> values = {0, 0, 3, 4};
  for (const auto& decile :
       same_label_by_cosine(Points(values, 2), std::vector<int32_t>{1, 2}, 100, 0)) {
    EXPECT_EQ(decile.cosine, 0);
    EXPECT_EQ(decile.same_label, 0);  // no point is paired with itself
    EXPECT_EQ(decile.pairs, 10);
  }
}

TEST(Neighbours, AcceptsEmptyInput) {
  const std::vector<float> values = {1, 2, 3, 4};
  EXPECT_TRUE(same_label_by_cosine(Points({}, 2), {}, 100, 0).empty());
  EXPECT_TRUE(same_label_by_cosine(Points(values, 4), std::vector<int32_t>{1}, 100, 0).empty());
  EXPECT_TRUE(same_label_by_cosine(Points(values, 2), std::vector<int32_t>{1, 1}, 0, 0).empty());
  const auto few = same_label_by_cosine(Points(values, 2), std::vector<int32_t>{1, 1}, 7, 0);
  ASSERT_EQ(few.size(), 7u);
  for (const auto& decile : few) EXPECT_EQ(decile.pairs, 1);
}

TEST(Neighbours, RejectsBadShapes) {
  const std::vector<float> values = {1, 2, 3, 4};
  EXPECT_THROW(same_label_by_cosine(Points(values, 2), std::vector<int32_t>{1}, 10, 0),
               std::invalid_argument);
}

TEST(Neighbours, SameBitsTwice) {
  const Blobs blobs(3, 50, 5, 4);
  const auto of_seed = [&](uint64_t seed) {
    std::vector<double> figures;
    for (const auto& decile : same_label_by_cosine(blobs.points(), blobs.labels, 500, seed)) {
      figures.push_back(decile.cosine);
      figures.push_back(decile.same_label);
    }
    return figures;
  };
  EXPECT_EQ(of_seed(1), of_seed(1));
  EXPECT_NE(of_seed(1), of_seed(2));
}

}  // namespace
}  // namespace derrd::test::neighbours_test
