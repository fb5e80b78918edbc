#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/dataset.h"
#include "data/random.h"
#include "tests/files.h"

namespace derrd::test::split_test {
namespace {

/// Users with `sizes` items each, the first of I.
Interactions users_with(const std::vector<int>& sizes, int64_t num_items) {
  Interactions result;
  for (size_t u = 0; u < sizes.size(); ++u) {
    for (int i = 0; i < sizes[u]; ++i) {
      result.users.push_back(static_cast<int32_t>(u));
      result.items.push_back(i);
    }
  }
  result.user_ids = IdTable::identity(static_cast<int64_t>(sizes.size()));
  result.item_ids = IdTable::identity(num_items);
  return result;
}

/// Pearson's statistic of n counts that should be equal: mean n - 1, variance 2 (n - 1).
double chi_square(const std::vector<int>& counts) {
  double total = 0.0, square = 0.0;
  for (int count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  for (int count : counts) square += (count - expected) * (count - expected) / expected;
  return square;
}

bool looks_uniform(const std::vector<int>& counts) {
  const auto freedom = static_cast<double>(counts.size()) - 1.0;
  return chi_square(counts) < freedom + 5.0 * std::sqrt(2.0 * freedom);
}

TEST(Split, IsExact) {
  const Interactions all = users_with({3, 4, 10, 50}, 60);
  const Dataset dataset = split_leave_one_out(all, 7);
  validate(dataset, "split");
  for (int32_t u = 0; u < 4; ++u) {
    std::vector<int32_t> items(dataset.train.row(u).begin(), dataset.train.row(u).end());
    for (const InteractionRows* part : {&dataset.valid, &dataset.test}) {
      items.insert(items.end(), part->row(u).begin(), part->row(u).end());
    }
    std::ranges::sort(items);
    std::vector<int32_t> expected;
    for (int64_t k = 0; k < all.size(); ++k) {
      if (all.users[k] == u) expected.push_back(all.items[k]);
    }
    EXPECT_EQ(items, expected) << "user " << u;
  }
}

TEST(Split, UsersWithFewItems) {
  const Dataset dataset = split_leave_one_out(users_with({0, 1, 2, 3}, 5), 0);
  EXPECT_EQ(dataset.train.offsets, (std::vector<int64_t>{0, 0, 1, 2, 3}));
  EXPECT_EQ(dataset.test.offsets, (std::vector<int64_t>{0, 0, 0, 1, 2}));
  EXPECT_EQ(dataset.valid.offsets, (std::vector<int64_t>{0, 0, 0, 0, 1}));
}

TEST(Split, DependsOnTheSeedAlone) {
  const Interactions all = users_with(std::vector<int>(50, 20), 40);
  const Dataset first = split_leave_one_out(all, 1), again = split_leave_one_out(all, 1);
  EXPECT_EQ(first.train.items, again.train.items);
  EXPECT_EQ(first.test.items, again.test.items);
  EXPECT_EQ(first.valid.items, again.valid.items);
  EXPECT_NE(first.test.items, split_leave_one_out(all, 2).test.items);
}

TEST(Split, AUsersDrawDoesNotDependOnOtherUsers) {
  const Dataset many = split_leave_one_out(users_with({5, 9, 7}, 20), 3);
  const Dataset few = split_leave_one_out(users_with({8, 9}, 20), 3);
  EXPECT_EQ(many.test.items[1], few.test.items[1]);
  EXPECT_EQ(many.valid.items[1], few.valid.items[1]);
}

TEST(Split, HoldsOutEveryItemEquallyOften) {
  const Dataset dataset = split_leave_one_out(users_with(std::vector<int>(4000, 8), 8), 0);
  std::vector<int> test(8), valid(8), pairs(64);
  for (int u = 0; u < 4000; ++u) {
    ++test[dataset.test.items[u]];
    ++valid[dataset.valid.items[u]];
    ++pairs[dataset.test.items[u] * 8 + dataset.valid.items[u]];
  }
  EXPECT_TRUE(looks_uniform(test));
  EXPECT_TRUE(looks_uniform(valid));
  std::erase(pairs, 0);
  EXPECT_EQ(pairs.size(), 56u);  // all but the diagonal
  EXPECT_TRUE(looks_uniform(pairs));
}

TEST(Candidates, AreDistinctAscendingAndNeverInteractedWith) {
  Dataset dataset = split_leave_one_out(users_with({0, 1, 2, 20, 99, 100}, 150), 5);
  draw_candidates(dataset, 50, 5);
  validate(dataset, "candidates");
  for (int64_t u = 0; u < dataset.num_users(); ++u) {
    const auto candidates = dataset.candidates_of(u);
    ASSERT_EQ(candidates.size(), 50u);
    std::set<int32_t> distinct(candidates.begin(), candidates.end());
    EXPECT_EQ(distinct.size(), 50u);
    EXPECT_TRUE(std::ranges::is_sorted(candidates));
    // The users' items are the first ones.
    const int sizes[] = {0, 1, 2, 20, 99, 100};
    EXPECT_GE(candidates.front(), sizes[u]);
    EXPECT_LT(candidates.back(), 150);
  }
}

TEST(Candidates, FewerThanAskedForAreAllTakenAndPadded) {
  Dataset dataset = split_leave_one_out(users_with({7, 10, 4}, 10), 0);
  draw_candidates(dataset, 5, 0);
  const std::vector<int32_t> few(dataset.candidates.begin(), dataset.candidates.begin() + 10);
  EXPECT_EQ(few, (std::vector<int32_t>{7, 8, 9, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_GE(dataset.candidates[10], 4);
  validate(dataset, "candidates");
}

TEST(Candidates, AreAsWideAsTheLongestList) {
  Dataset dataset = split_leave_one_out(users_with({7, 10, 4}, 10), 0);
  const std::vector<int32_t> all{7, 8, 9, -1, -1, -1, -1, -1, -1, -1, -1, -1, 4, 5, 6, 7, 8, 9};
  for (const int64_t count : {int64_t{6}, int64_t{7}, int64_t{1000000}, INT64_MAX}) {
    draw_candidates(dataset, count, 0);
    EXPECT_EQ(dataset.num_candidates, 6);
    EXPECT_EQ(dataset.candidates, all);
    validate(dataset, "candidates");
  }
}

TEST(Candidates, OfUsersWithoutHeldOutItems) {
  Dataset dataset = split_leave_one_out(users_with({0, 1, 2}, 4), 0);
  draw_candidates(dataset, 4, 0);
  EXPECT_EQ(dataset.candidates, (std::vector<int32_t>{0, 1, 2, 3, 1, 2, 3, -1, 2, 3, -1, -1}));
}

TEST(Candidates, AreUniform) {
  Dataset dataset = split_leave_one_out(users_with(std::vector<int>(3000, 6), 20), 0);
  draw_candidates(dataset, 5, 0);
  std::vector<int> counts(20);
  std::map<std::pair<int, int>, int> pair_counts;
  for (int u = 0; u < 3000; ++u) {
    const auto candidates = dataset.candidates_of(u);
    for (int32_t i : candidates) {
      ++counts[i];
      for (int32_t j : candidates) pair_counts[{i, j}] += i < j;
    }
  }
  counts.erase(counts.begin(), counts.begin() + 6);
  EXPECT_TRUE(looks_uniform(counts));
  std::vector<int> pairs;
  for (const auto& [pair, count] : pair_counts) {
    if (pair.first < pair.second) pairs.push_back(count);
  }
  EXPECT_EQ(pairs.size(), 14u * 13u / 2u);
  EXPECT_TRUE(looks_uniform(pairs));
}

TEST(Candidates, DoNotChangeTheSplitAndDependOnTheSeed) {
  const Interactions all = users_with(std::vector<int>(20, 10), 100);
  Dataset dataset = split_leave_one_out(all, 1);
  const std::vector<int32_t> test = dataset.test.items;
  draw_candidates(dataset, 9, 1);
  const std::vector<int32_t> candidates = dataset.candidates;
  EXPECT_EQ(dataset.test.items, test);
  draw_candidates(dataset, 9, 2);
  EXPECT_NE(dataset.candidates, candidates);
  draw_candidates(dataset, 9, 1);
  EXPECT_EQ(dataset.candidates, candidates);
}

TEST(Candidates, AreNoneOfSeveralHeldOutItems) {
  Dataset dataset;
  dataset.train = {{0, 1, 2}, {3, 0}};
  dataset.valid = {{0, 2, 2}, {1, 8}};
  dataset.test = {{0, 3, 4}, {0, 2, 9, 5}};
  dataset.user_ids = IdTable::identity(2);
  dataset.item_ids = IdTable::identity(10);
  draw_candidates(dataset, 100, 0);
  EXPECT_EQ(dataset.num_candidates, 8);
  EXPECT_EQ(dataset.candidates,
            (std::vector<int32_t>{4, 5, 6, 7, -1, -1, -1, -1, 1, 2, 3, 4, 6, 7, 8, 9}));
  validate(dataset, "drawn");
}

TEST(Candidates, RejectWhatCannotBeHeld) {
  Dataset dataset;
  const int64_t n = (int64_t{1} << 17);
  dataset.train.offsets.resize(n + 1);
  dataset.valid.offsets.resize(n + 1);
  dataset.test.offsets.resize(n + 1);
  dataset.user_ids = dataset.item_ids = IdTable::identity(n);
  expect_error([&] { draw_candidates(dataset, n, 0); }, "ask for fewer");
  EXPECT_THROW(draw_candidates(dataset, -1, 0), Error);
}

TEST(RandomStream, IsTheSameEverywhere) {
  // The C++ standard's check value: the 10000th number of a default-seeded mt19937_64.
  std::mt19937_64 standard;
  standard.discard(9999);
  EXPECT_EQ(standard(), 9981545732273789042u);
  EXPECT_EQ(mix64(0), 0xE220A8397B1DCDAFu);  // the first outputs of SplitMix64 seeded with 0
  EXPECT_EQ(mix64(0x9E3779B97F4A7C15u), 0x6E789E6AA1B965F4u);
  RandomStream stream(1, 2, 3);
  std::mt19937_64 seeded(mix64(mix64(mix64(1) + 2) + 3));
  for (int k = 0; k < 3; ++k) EXPECT_EQ(stream.bits(), seeded());
}

TEST(RandomStream, StreamsDiffer) {
  std::set<uint64_t> firsts;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    for (uint64_t purpose = 0; purpose < 4; ++purpose) {
      for (uint64_t index = 0; index < 8; ++index) {
        firsts.insert(RandomStream(seed, purpose, index).bits());
      }
    }
  }
  EXPECT_EQ(firsts.size(), 8u * 4u * 8u);
}

TEST(RandomStream, BelowIsUnbiased) {
  RandomStream random(1, 2, 3);
  // Among 3 * 2^62 numbers the remainder alone would hit the lowest 2^62 twice as often.
  const uint64_t n = uint64_t{3} << 62;
  std::vector<int> thirds(3);
  for (int k = 0; k < 3000; ++k) ++thirds[random.below(n) >> 62];
  EXPECT_TRUE(looks_uniform(thirds));
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace derrd::test::split_test
