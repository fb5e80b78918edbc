#include "engine/evaluation/stop_metric.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "data/error.h"

namespace derrd::test::stop_metric_test {
namespace {

TEST(StopMetric, IsKnownByItsNameInAnyCase) {
  Metrics valid;
  valid.hit = {.1, .2, .3};
  valid.ndcg = {.4, .5, .6};
  valid.mrr = {.7, .8, .9};
  EXPECT_EQ(StopMetric::named("H@10").value(valid), .2);
  EXPECT_EQ(StopMetric::named("n@5").value(valid), .4);
  EXPECT_EQ(StopMetric::named("M@20").value(valid), .9);
  RankingValues full;
  full.at(RankingMetric::kRecall, 1) = .11;
  full.at(RankingMetric::kMap, 2) = .12;
  EXPECT_EQ(StopMetric::named("RECALL@20").value(full), .11);
  EXPECT_EQ(StopMetric::named("MAP@50").value(full), .12);
  EXPECT_EQ(StopMetric::named("ndcg@10").name(), "NDCG@10");
  EXPECT_TRUE(StopMetric::named("HR@10").full_ranking());
  EXPECT_FALSE(StopMetric::named("H@10").full_ranking());
  EXPECT_THROW(StopMetric::named("H@10").value(full), std::logic_error);
  EXPECT_THROW(StopMetric::named("HR@10").value(valid), std::logic_error);
  for (const char* name : {"", "H", "H@50", "Recall@5", "Recall", "H@5 "}) {
    EXPECT_THROW(StopMetric::named(name), Error) << name;
  }
}

/// A user with `candidates` candidates and `unseen` items that it did not train with, `valid` of
/// them validation items.
Dataset one_user(int32_t candidates, int32_t unseen, int32_t valid) {
  Dataset d;
  d.train = {{0, 1}, {0}};
  d.valid.offsets = {0, valid};
  for (int32_t i = 1; i <= valid; ++i) d.valid.items.push_back(i);
  d.test.offsets = {0, 0};
  d.num_candidates = candidates + 1;
  for (int32_t i = 0; i < candidates; ++i) d.candidates.push_back(1 + valid + i);
  d.candidates.push_back(-1);
  d.user_ids = IdTable::identity(1);
  d.item_ids = IdTable::identity(unseen + 1);
  return d;
}

TEST(StopMetric, IsBlindWhereEveryRankingHasItsBestValue) {
  const auto blind = [](const char* name, const Dataset& d) {
    return !StopMetric::named(name).blindness(d).empty();
  };
  EXPECT_TRUE(blind("H@5", one_user(4, 100, 1)));
  EXPECT_FALSE(blind("H@5", one_user(5, 100, 1)));
  EXPECT_FALSE(blind("N@5", one_user(1, 100, 1)));
  EXPECT_TRUE(blind("M@5", one_user(0, 100, 1)));
  EXPECT_TRUE(blind("Recall@10", one_user(0, 10, 2)));
  EXPECT_FALSE(blind("Recall@10", one_user(0, 11, 2)));
  EXPECT_TRUE(blind("Precision@10", one_user(0, 10, 2)));
  EXPECT_TRUE(blind("HR@10", one_user(0, 11, 2))) << "one of two is always a hit";
  EXPECT_FALSE(blind("HR@10", one_user(0, 12, 2)));
  EXPECT_FALSE(blind("NDCG@50", one_user(0, 3, 2)));
  EXPECT_TRUE(blind("NDCG@50", one_user(0, 2, 2)));
  for (const char* name : {"H@5", "Recall@20"}) {
    EXPECT_EQ(StopMetric::named(name).blindness(one_user(9, 100, 0)),
              "no user has a validation item");
  }
}

}  // namespace
}  // namespace derrd::test::stop_metric_test
