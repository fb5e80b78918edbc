// Who starts first, and with how many threads.

#include "apps/experiments/run_times.h"

#include <gtest/gtest.h>

#include <vector>

namespace derrd::test::run_times_test {
namespace {

TEST(Chains, AreOwnSecondsAndTheLongestThatWait) {
  std::vector<derrd::Run> runs(5);
  runs[1].needs = {0};  // a teacher
  runs[2].needs = {0};  // a student
  runs[3].needs = {0, 1};
  runs[4].needs = {0, 1};
  EXPECT_EQ(chains(runs, {1, 60, 15, 300, 40}), (std::vector<double>{361, 360, 15, 300, 40}));
}

TEST(DealThreads, WhatOthersWaitForGetsMore) {
  using Threads = std::vector<int>;
  EXPECT_EQ(deal_threads({360, 15}, 2), (Threads{2, 0}));
  EXPECT_EQ(deal_threads({360, 15}, 16), (Threads{15, 1}));
  EXPECT_EQ(deal_threads({360, 360}, 2), (Threads{1, 1}));
  EXPECT_EQ(deal_threads({360, 360, 15, 15}, 4), (Threads{2, 2, 0, 0}));
  EXPECT_EQ(deal_threads({5, 5, 5}, 16), (Threads{5, 6, 5}));
  EXPECT_EQ(deal_threads({300, 1}, 1), (Threads{1, 0}));
  EXPECT_EQ(deal_threads({7}, 0), (Threads{0}));
  EXPECT_EQ(deal_threads({0, 0}, 2), (Threads{1, 1}));
  EXPECT_TRUE(deal_threads({}, 2).empty());
}

}  // namespace
}  // namespace derrd::test::run_times_test
