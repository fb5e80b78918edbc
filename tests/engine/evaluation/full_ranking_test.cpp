#include "engine/evaluation/full_ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include "data/error.h"
#include "tests/files.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::full_ranking_test {
namespace {

/// Vectors of small whole numbers, so that scores are exact and many are equal.
struct Case {
  int64_t users, items;
  static constexpr int64_t kDim = 3;
  std::vector<float> user, item;
  InteractionRows train, valid, test;

  Case(int64_t u, int64_t i) : users(u), items(i) {
    for (const int32_t v : random_below(u * kDim, 5, 1)) user.push_back(float(v - 2));
    for (const int32_t v : random_below(i * kDim, 5, 2)) item.push_back(float(v - 2));
    std::mt19937_64 bits(3);
    for (int64_t n = 0; n < u; ++n) {
      std::vector<InteractionRows*> parts = {&train, &valid, &test};
      for (int32_t it = 0; it < i; ++it) {
        const uint64_t draw = bits() % 10;
        // Every fifth user has nothing to find, every seventh has seen much.
        if (draw == 0 && n % 5 != 0) test.items.push_back(it);
        if (draw == 1) valid.items.push_back(it);
        if (draw > (n % 7 == 0 ? 1u : 7u)) train.items.push_back(it);
      }
      for (InteractionRows* part : parts) part->offsets.push_back(part->num_interactions());
    }
  }

  std::vector<float> masked_scores(int64_t u, bool without_valid) const {
    const auto row = std::span(user).subspan(static_cast<size_t>(u * kDim), kDim);
    const std::vector<double> exact = oracle::inner_products(row, item, kDim);
    std::vector<float> scores(exact.begin(), exact.end());
    for (int32_t i = 0; i < items; ++i) {
      if (train.contains(u, i) || (without_valid && valid.contains(u, i))) {
        scores[static_cast<size_t>(i)] = -std::numeric_limits<float>::infinity();
      }
    }
    return scores;
  }

  /// Metrics from the whole order of the items, in plain loops.
  void expect(const FullRanking& actual, bool without_valid) const {
    RankingValues sum;
    std::vector<int32_t> counted;
    for (int64_t u = 0; u < users; ++u) {
      if (test.row(u).empty()) continue;
      const std::vector<float> scores = masked_scores(u, without_valid);
      std::vector<int32_t> order;
      for (int32_t i = 0; i < items; ++i) {
        if (std::isfinite(scores[static_cast<size_t>(i)])) order.push_back(i);
      }
      std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
        const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
        return x != y ? x > y : test.contains(u, a) < test.contains(u, b);
      });
      counted.push_back(static_cast<int32_t>(u));
      const RankingValues& values = actual.accuracy.users_values[counted.size() - 1];
      for (size_t n = 0; n < kFullCutoffs.size(); ++n) {
        const auto k = static_cast<size_t>(kFullCutoffs[n]);
        double hits = 0, dcg = 0, ideal = 0, map = 0, mrr = 0;
        const size_t relevant = test.row(u).size(), most = std::min(k, relevant);
        for (size_t r = 0; r < std::min(k, order.size()); ++r) {
          if (!test.contains(u, order[r])) continue;
          ++hits;
          dcg += std::log(2.0) / std::log(double(r) + 2);
          map += hits / double(r + 1);
          if (mrr == 0) mrr = 1 / double(r + 1);
        }
        for (size_t r = 0; r < most; ++r) ideal += std::log(2.0) / std::log(double(r) + 2);
        const auto near = [&](RankingMetric metric, double expected) {
          ASSERT_NEAR(values.at(metric, n), expected, 1e-13) << "user " << u << ", K " << k;
          sum.at(metric, n) += expected;
        };
        near(RankingMetric::kRecall, hits / double(relevant));
        near(RankingMetric::kNdcg, dcg / ideal);
        near(RankingMetric::kPrecision, hits / double(k));
        near(RankingMetric::kHitRatio, hits > 0 ? 1 : 0);
        near(RankingMetric::kMrr, mrr);
        near(RankingMetric::kMap, map / double(most));
      }
    }
    EXPECT_EQ(actual.accuracy.users, counted);
    for (size_t n = 0; n < kFullCutoffs.size(); ++n) {
      EXPECT_NEAR(actual.accuracy.mean.at(RankingMetric::kNdcg, n),
                  sum.at(RankingMetric::kNdcg, n) / double(counted.size()), 1e-13);
      std::set<int32_t> listed;
      for (const int32_t u : counted) {
        const auto list = oracle::top_items(masked_scores(u, without_valid), kFullCutoffs[n]);
        listed.insert(list.begin(), list.end());
      }
      EXPECT_DOUBLE_EQ(actual.lists.coverage[n], double(listed.size()) / double(items));
    }
  }

  FullRanking evaluate(bool without_valid) const {
    const DeviceArray<float> u(user, stream()), i(item, stream());
    InnerProductScorer scorer(u.matrix(users, kDim), i.matrix(items, kDim));
    FullRankingEvaluator evaluator(test, train, without_valid ? valid : InteractionRows{}, items,
                                   stream());
    const FullRanking full = evaluator.evaluate(scorer, stream());
    const RankingAccuracy alone = evaluator.accuracy(scorer, stream());
    for (size_t n = 0; n < kFullCutoffs.size(); ++n) {
      EXPECT_EQ(alone.mean.at(RankingMetric::kMap, n),
                full.accuracy.mean.at(RankingMetric::kMap, n));
    }
    return full;
  }
};

TEST(FullRanking, MatchesOracle) {
  for (const int64_t items : {1, 9, 60, 300}) {
    const Case c(30, items);
    SCOPED_TRACE(items);
    if (c.test.items.empty()) continue;
    c.expect(c.evaluate(false), false);
    c.expect(c.evaluate(true), true);
  }
}

TEST(FullRanking, MatchesOracleOnManyTiles) {
  const Case c(9000, 20);  // more than are listed at once
  c.expect(c.evaluate(false), false);
}

TEST(FullRanking, NamesTheUserWhoseScoresAreNotFinite) {
  Case c(600, 20);
  c.user[static_cast<size_t>(530 * Case::kDim)] = std::nanf("");
  expect_error([&] { c.evaluate(false); }, "user 530 ");
}

TEST(FullRanking, RejectsItemsThatAreNotRanked) {
  const Case c(30, 20);
  EXPECT_THROW(FullRankingEvaluator(c.test, c.train, c.test, 20, stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::full_ranking_test
