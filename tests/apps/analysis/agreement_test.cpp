#include "apps/analysis/agreement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "data/random.h"

namespace derrd::test::agreement_test {
namespace {

using Labels = std::vector<int32_t>;
constexpr double kTolerance = 1e-14;  // a few dozen operations in double

TEST(Agreement, EntropyIsKnown) {
  EXPECT_NEAR(entropy(Labels{0, 0, 1, 2}), 1.5 * std::log(2), kTolerance);
  EXPECT_NEAR(entropy(Labels{-7, 3, 100, 4}), std::log(4), kTolerance);
  EXPECT_EQ(entropy(Labels{5, 5, 5}), 0);
  EXPECT_EQ(entropy(Labels{}), 0);
}

TEST(Agreement, CountsClasses) {
  EXPECT_EQ(classes_used(Labels{3, 3, -1, 9, 3}), 3u);
  EXPECT_EQ(classes_used(Labels{}), 0u);
}

// I = H(a) = log 2, H(b) = 1.5 log 2.
TEST(Agreement, MutualInformationIsKnown) {
  const Labels a = {0, 0, 1, 1}, b = {0, 0, 1, 2};
  EXPECT_NEAR(normalized_mutual_information(a, b), .8, kTolerance);
  EXPECT_EQ(normalized_mutual_information(a, b), normalized_mutual_information(b, a));
  EXPECT_EQ(normalized_mutual_information(a, Labels{9, 9, -4, -4}), 1);
  EXPECT_EQ(normalized_mutual_information(a, Labels{0, 1, 0, 1}), 0);
}

TEST(Agreement, MutualInformationOfOneClass) {
  EXPECT_EQ(normalized_mutual_information(Labels{1, 1, 1}, Labels{2, 2, 2}), 1);
  EXPECT_EQ(normalized_mutual_information(Labels{1, 1, 1}, Labels{0, 1, 2}), 0);
  EXPECT_EQ(normalized_mutual_information(Labels{0, 1, 2}, Labels{1, 1, 1}), 0);
  EXPECT_EQ(normalized_mutual_information(Labels{}, Labels{}), 1);
}

TEST(Agreement, PurityIsKnown) {
  EXPECT_DOUBLE_EQ(purity(Labels{0, 0, 0, 1, 1}, Labels{5, 5, 6, 7, 8}), .6);
  EXPECT_DOUBLE_EQ(purity(Labels{5, 5, 6, 7, 8}, Labels{0, 0, 0, 1, 1}), 1);
  EXPECT_DOUBLE_EQ(purity(Labels{1, 1, 1, 1}, Labels{0, 1, 2, 3}), .25);
  EXPECT_EQ(purity(Labels{}, Labels{}), 1);
}

// The definitions over a full table of counts.
TEST(Agreement, MatchesOracle) {
  constexpr size_t kA = 5, kB = 7, kThings = 300;
  RandomStream random(1, 2, 3);
  Labels a, b;
  std::array<std::array<double, kB>, kA> share = {};
  for (size_t n = 0; n < kThings; ++n) {
    const uint64_t class_a = random.below(kA);
    const uint64_t class_b = random.below(2) == 0 ? class_a : random.below(kB);
    a.push_back(static_cast<int32_t>(class_a));
    b.push_back(static_cast<int32_t>(class_b));
    share[class_a][class_b] += 1.0 / kThings;
  }
  double information = 0, entropy_a = 0, entropy_b = 0, pure = 0;
  const auto column = [&](size_t j) {
    double sum = 0;
    for (const auto& row : share) sum += row[j];
    return sum;
  };
  for (const auto& row : share) {
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    entropy_a -= sum * std::log(sum);
    pure += *std::max_element(row.begin(), row.end());
    for (size_t j = 0; j < kB; ++j) {
      if (row[j] > 0) information += row[j] * std::log(row[j] / (sum * column(j)));
    }
  }
  for (size_t j = 0; j < kB; ++j) entropy_b -= column(j) * std::log(column(j));
  const double mean_entropy = (entropy_a + entropy_b) / 2;
  EXPECT_NEAR(normalized_mutual_information(a, b), information / mean_entropy, 1e-12);
  EXPECT_NEAR(entropy(a), entropy_a, 1e-12);
  EXPECT_NEAR(purity(a, b), pure, 1e-12);
}

TEST(Agreement, RejectsBadShapes) {
  EXPECT_THROW(normalized_mutual_information(Labels{1}, Labels{1, 2}), std::invalid_argument);
  EXPECT_THROW(purity(Labels{1, 2}, Labels{1}), std::invalid_argument);
}

TEST(SharedLabelExcess, MatchesAllPairs) {
  constexpr size_t kMembers = 60;
  RandomStream random(5, 6, 7);
  std::vector<int32_t> labels, groups;
  std::vector<uint32_t> times;
  for (size_t n = 0; n < kMembers; ++n) {
    groups.push_back(static_cast<int32_t>(random.below(4)));
    labels.push_back(random.below(3) == 0 ? groups.back() : static_cast<int32_t>(random.below(5)));
    times.push_back(static_cast<uint32_t>(random.below(4)));
  }
  double pairs[2] = {}, same[2] = {};
  for (size_t a = 0; a < kMembers; ++a) {
    for (size_t b = 0; b < a; ++b) {
      const bool within = groups[a] == groups[b];
      pairs[within] += times[a] * times[b];
      if (labels[a] == labels[b]) same[within] += times[a] * times[b];
    }
  }
  EXPECT_NEAR(shared_label_excess(labels, groups, times), same[1] / pairs[1] - same[0] / pairs[0],
              1e-12);
}

// However many labels there are, and however often a resample draws a member.
TEST(SharedLabelExcess, IsZeroOnAverageWhereLabelsSayNothing) {
  RandomStream random(1, 2, 3);
  for (const uint64_t classes : {2, 30}) {
    double sum = 0;
    for (int n = 0; n < 300; ++n) {
      std::vector<int32_t> labels, groups;
      std::vector<uint32_t> times(100);
      for (size_t m = 0; m < times.size(); ++m) {
        labels.push_back(static_cast<int32_t>(random.below(classes)));
        groups.push_back(static_cast<int32_t>(random.below(5)));
        ++times[random.below(times.size())];
      }
      sum += shared_label_excess(labels, groups, times);
    }
    EXPECT_NEAR(sum / 300, 0, .005) << classes;
  }
}

TEST(SharedLabelExcess, NeedsPairsOfBothKinds) {
  const std::vector<int32_t> one = {1, 1}, two = {1, 2};
  const std::vector<uint32_t> once = {1, 1};
  EXPECT_EQ(shared_label_excess(one, one, once), 0);
  EXPECT_EQ(shared_label_excess(one, two, once), 0);
  EXPECT_THROW(shared_label_excess(one, two, std::vector<uint32_t>{1}), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::agreement_test
