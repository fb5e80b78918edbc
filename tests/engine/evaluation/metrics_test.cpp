#include "engine/evaluation/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "data/error.h"

namespace derrd::test::metrics_test {
namespace {

Metrics mean_of(const std::vector<int32_t>& ranks) {
  LeaveOneOutMetrics metrics(static_cast<int64_t>(ranks.size()));
  metrics.add(ranks);
  return metrics.mean();
}

TEST(Metrics, FollowTheirDefinitions) {
  // Ranks 1, 5, 6, 20, 21 and a user without a held-out item.
  const Metrics m = mean_of({1, 5, 0, 6, 20, 21});
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

// A user with many items weighs as much as one with a single item.
TEST(Metrics, AreMeansOverAUsersItemsAndThenOverUsers) {
  LeaveOneOutMetrics metrics(3);
  metrics.add(std::vector<int32_t>{1, 0, 6});
  metrics.add(std::vector<int32_t>{2, 0, 0});
  metrics.add(std::vector<int32_t>{30, 0, 0});
  const std::vector<Metrics> users = metrics.of_users();
  EXPECT_EQ(users[0].users, 1);
  EXPECT_EQ(users[1].users, 0);
  EXPECT_EQ(users[1].hit[2], 0.0);
  EXPECT_DOUBLE_EQ(users[0].hit[0], 2.0 / 3);
  EXPECT_DOUBLE_EQ(users[0].mrr[2], 1.5 / 3);
  EXPECT_DOUBLE_EQ(users[2].hit[0], 0.0);
  EXPECT_DOUBLE_EQ(users[2].hit[1], 1.0);
  const Metrics m = metrics.mean();
  EXPECT_EQ(m.users, 2);
  EXPECT_DOUBLE_EQ(m.hit[0], 1.0 / 3);
  EXPECT_DOUBLE_EQ(m.mrr[2], (0.5 + 1.0 / 6) / 2);
}

TEST(Metrics, AcceptsEmptyInput) {
  const Metrics m = mean_of({0, 0});
  EXPECT_EQ(m.users, 0);
  EXPECT_EQ(m.hit[2], 0.0);
}

TEST(Metrics, RejectsScoresThatAreNotFinite) { EXPECT_THROW(mean_of({3, -1}), Error); }

}  // namespace
}  // namespace derrd::test::metrics_test
