#include "engine/evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "data/error.h"

namespace derrd::test::metrics_test {
namespace {

TEST(Metrics, FollowTheirDefinitions) {
  // Ranks 1, 5, 6, 20, 21 and a user without a held-out item.
  const std::vector<int32_t> ranks = {1, 5, 0, 6, 20, 21};
  const Metrics m = leave_one_out_metrics(ranks);
  EXPECT_EQ(m.users, 5);
  EXPECT_DOUBLE_EQ(m.hit[0], 2.0 / 5);
  EXPECT_DOUBLE_EQ(m.hit[1], 3.0 / 5);
  EXPECT_DOUBLE_EQ(m.hit[2], 4.0 / 5);
  EXPECT_DOUBLE_EQ(m.mrr[0], (1 + 1.0 / 5) / 5);
  EXPECT_DOUBLE_EQ(m.mrr[2], (1 + 1.0 / 5 + 1.0 / 6 + 1.0 / 20) / 5);
  EXPECT_DOUBLE_EQ(m.ndcg[0], (1 + std::log(2.0) / std::log(6.0)) / 5);
  EXPECT_DOUBLE_EQ(m.ndcg[1],
                   (1 + std::log(2.0) / std::log(6.0) + std::log(2.0) / std::log(7.0)) / 5);
}

TEST(Metrics, AcceptsEmptyInput) {
  const Metrics m = leave_one_out_metrics(std::vector<int32_t>{0, 0});
  EXPECT_EQ(m.users, 0);
  EXPECT_EQ(m.hit[2], 0.0);
}

TEST(Metrics, RejectsScoresThatAreNotFinite) {
  EXPECT_THROW(leave_one_out_metrics(std::vector<int32_t>{3, -1}), Error);
  EXPECT_THROW(full_ranking_metrics(std::vector<int32_t>{3, -1}), Error);
}

TEST(Metrics, FullRankingCountsAtItsOwnCutoffs) {
  const FullRankingMetrics m = full_ranking_metrics(std::vector<int32_t>{10, 11, 50, 51});
  EXPECT_DOUBLE_EQ(m.recall[0], 1.0 / 4);
  EXPECT_DOUBLE_EQ(m.recall[1], 2.0 / 4);
  EXPECT_DOUBLE_EQ(m.recall[2], 3.0 / 4);
  EXPECT_EQ(m.recall, m.hit);
  EXPECT_DOUBLE_EQ(m.ndcg[0], std::log(2.0) / std::log(11.0) / 4);
}

}  // namespace
}  // namespace derrd::test::metrics_test
