#include "engine/evaluation/ranking_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace derrd::test::ranking_metrics_test {
namespace {

InteractionRows rows_of_lengths(const std::vector<int>& lengths) {
  InteractionRows rows;
  for (const int length : lengths) {
    for (int32_t item = 0; item < length; ++item) rows.items.push_back(item);
    rows.offsets.push_back(rows.num_interactions());
  }
  return rows;
}

double gain(int rank) { return 1 / std::log2(rank + 1.0); }

TEST(RankingMetrics, FollowTheirDefinitions) {
  // Three items at ranks 11, 2 and 4, none of user 1, and one at rank 50.
  const InteractionRows relevant = rows_of_lengths({3, 0, 1});
  const RankingAccuracy accuracy = ranking_accuracy(relevant, std::vector<int32_t>{11, 2, 4, 50});
  EXPECT_EQ(accuracy.users, (std::vector<int32_t>{0, 2}));
  const RankingValues& first = accuracy.users_values[0];
  const double ideal = gain(1) + gain(2) + gain(3);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kRecall, 0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kRecall, 1), 1);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kNdcg, 0), (gain(2) + gain(4)) / ideal);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kNdcg, 1), (gain(2) + gain(4) + gain(11)) / ideal);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kPrecision, 0), 2.0 / 10);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kPrecision, 1), 3.0 / 20);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kHitRatio, 0), 1);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kMrr, 0), 1.0 / 2);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kMap, 0), (1.0 / 2 + 2.0 / 4) / 3);
  EXPECT_DOUBLE_EQ(first.at(RankingMetric::kMap, 2), (1.0 / 2 + 2.0 / 4 + 3.0 / 11) / 3);
  const RankingValues& last = accuracy.users_values[1];
  EXPECT_EQ(last.at(RankingMetric::kHitRatio, 1), 0);
  EXPECT_EQ(last.at(RankingMetric::kMrr, 1), 0);
  EXPECT_EQ(last.at(RankingMetric::kRecall, 2), 1);
  EXPECT_DOUBLE_EQ(accuracy.mean.at(RankingMetric::kRecall, 0), (2.0 / 3 + 0) / 2);
  EXPECT_DOUBLE_EQ(accuracy.mean.at(RankingMetric::kMrr, 2), (1.0 / 2 + 1.0 / 50) / 2);
}

TEST(RankingMetrics, IdealListHoldsNoMoreThanTheCutoff) {
  const InteractionRows relevant = rows_of_lengths({15});
  std::vector<int32_t> rank;
  for (int32_t r = 1; r <= 15; ++r) rank.push_back(r);
  const RankingValues mean = ranking_accuracy(relevant, rank).mean;
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kNdcg, 0), 1);
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kMap, 0), 1);
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kRecall, 0), 10.0 / 15);
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kPrecision, 1), 15.0 / 20);
}

TEST(RankingMetrics, ItemsOutsideTheListAreMisses) {
  const InteractionRows relevant = rows_of_lengths({2, 1});
  const RankingValues mean = ranking_accuracy(relevant, std::vector<int32_t>{0, 1, 0}).mean;
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kRecall, 0), 0.25);
  EXPECT_DOUBLE_EQ(mean.at(RankingMetric::kMrr, 0), 0.5);
}

TEST(RankingMetrics, AcceptsEmptyInput) {
  EXPECT_EQ(ranking_accuracy({}, {}).users.size(), 0);
  const RankingAccuracy nobody = ranking_accuracy(rows_of_lengths({0, 0}), {});
  EXPECT_EQ(nobody.users.size(), 0);
  EXPECT_EQ(nobody.mean.at(RankingMetric::kMap, 2), 0);
  const ListFigures figures = ListCounter({}, 3).figures();
  EXPECT_TRUE(std::isnan(figures.coverage[0]));
  EXPECT_TRUE(std::isnan(figures.gini[0]));
  EXPECT_TRUE(std::isnan(figures.popularity[0]));
}

TEST(RankingMetrics, RejectsBadShapes) {
  const InteractionRows relevant = rows_of_lengths({2});
  EXPECT_THROW(ranking_accuracy(relevant, std::vector<int32_t>{1}), std::invalid_argument);
  EXPECT_THROW(ranks_after_ties(relevant, std::vector<int32_t>{1, 2, 3}), std::invalid_argument);
  EXPECT_THROW(ranks_after_ties(relevant, std::vector<int32_t>{1, -1}), std::invalid_argument);
}

TEST(RankingMetrics, RelevantItemsStandLastAmongEqualScores) {
  // User 0: scores 9, 5*, 5*, 5, 1*; user 1: one item with 7 others of its score.
  const InteractionRows relevant = rows_of_lengths({3, 1});
  EXPECT_EQ(ranks_after_ties(relevant, std::vector<int32_t>{4, 5, 4, 8}),
            (std::vector<int32_t>{4, 5, 3, 8}));
}

TEST(ListCounter, FollowsTheDefinitions) {
  // Training users of the items: 3, 1, 0, 0.
  InteractionRows train;
  train.offsets = {0, 2, 3, 4};
  train.items = {0, 1, 0, 0};
  ListCounter counter(train, 4);
  counter.add(std::vector<int32_t>{0, 1});
  counter.add(std::vector<int32_t>{0});
  counter.add({});
  const ListFigures figures = counter.figures();
  EXPECT_DOUBLE_EQ(figures.coverage[0], 2.0 / 4);
  // Frequencies 0, 0, 1, 2: (1 * 1 + 3 * 2) / (4 * 3).
  EXPECT_DOUBLE_EQ(figures.gini[0], 7.0 / 12);
  EXPECT_DOUBLE_EQ(figures.popularity[0], (2.0 + 3.0) / 2);
}

TEST(ListCounter, CutsListsAtEachCutoff) {
  ListCounter counter({}, 40);
  std::vector<int32_t> list;
  for (int32_t item = 0; item < 40; ++item) list.push_back(item);
  counter.add(list);
  const ListFigures figures = counter.figures();
  EXPECT_EQ(figures.coverage, (ListFigures::AtCutoffs{10.0 / 40, 20.0 / 40, 1}));
  EXPECT_DOUBLE_EQ(figures.gini[0], 30.0 / 40);
  EXPECT_DOUBLE_EQ(figures.gini[2], 0);
}

TEST(ListCounter, GiniIndexOfOneItemAlone) {
  ListCounter counter({}, 5);
  for (int user = 0; user < 3; ++user) counter.add(std::vector<int32_t>{4});
  EXPECT_DOUBLE_EQ(counter.figures().gini[0], 1 - 1.0 / 5);
}

}  // namespace
}  // namespace derrd::test::ranking_metrics_test
