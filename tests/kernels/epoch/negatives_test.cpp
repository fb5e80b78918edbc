#include "kernels/epoch/negatives.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "tests/kernels/epoch/sampling_support.h"
#include "tests/kernels/support.h"
#include "tests/oracles/sampling.h"

namespace derrd::test::negatives_test {
namespace {

constexpr RandomKey kKey = {11, RandomPurpose::kNegative, 2};
constexpr RandomKey kSubsetKey = {11, RandomPurpose::kUninteresting, 2};

std::vector<int32_t> negatives_of(const std::vector<int32_t>& users,
                                  const std::vector<std::vector<int32_t>>& rows, int64_t items,
                                  RandomKey key = kKey) {
  const HostRows observed(rows);
  const Guarded<int32_t> device_users(users);
  const Guarded<int32_t> negatives(static_cast<int64_t>(users.size()));
  sample_negatives(negatives.view(), device_users.const_view(), observed.view(), items, key,
                   stream());
  return negatives.host();
}

TEST(SampleNegatives, UniformOverTheUnobservedItems) {
  constexpr int64_t kDraws = 4000;
  constexpr int64_t kItems = 9;
  // Observed items at the front, at the end, in the middle, in pieces, nowhere.
  const std::vector<std::vector<int32_t>> rows = {
      {0, 1, 2}, {7, 8}, {3, 4, 5}, {0, 2, 4, 6, 8}, {}};
  for (int32_t user = 0; user < static_cast<int32_t>(rows.size()); ++user) {
    const auto& row = rows[static_cast<size_t>(user)];
    const std::vector<int32_t> drawn = negatives_of(std::vector<int32_t>(kDraws, user), rows, 9);
    const std::vector<int32_t> allowed = oracle::items_without(row, kItems);
    int64_t total = 0;
    for (const int32_t item : allowed) {
      const int64_t count = std::count(drawn.begin(), drawn.end(), item);
      EXPECT_TRUE(plausible(count, kDraws, 1.0 / static_cast<double>(allowed.size())))
          << "user " << user << ", item " << item;
      total += count;
    }
    EXPECT_EQ(total, kDraws) << "user " << user << " got an observed item";
  }
}

TEST(SampleNegatives, SeveralOfAUserAreThoseOfAListThatRepeatsIt) {
  const std::vector<std::vector<int32_t>> rows = {{0, 1, 2}, {7, 8}, {}};
  const HostRows observed(rows);
  const Guarded<int32_t> users(std::vector<int32_t>{2, 0, 1, 0});
  const Guarded<int32_t> negatives(12);
  sample_negatives(negatives.view(), users.const_view(), observed.view(), 9, kKey, stream());
  EXPECT_EQ(negatives.host(), negatives_of({2, 2, 2, 0, 0, 0, 1, 1, 1, 0, 0, 0}, rows, 9));
}

TEST(SampleNegatives, OneItemLeft) {
  constexpr int64_t kItems = 40;
  std::vector<std::vector<int32_t>> rows;
  std::vector<int32_t> users;
  for (int32_t left = 0; left < kItems; ++left) {
    rows.push_back(oracle::items_without({left}, kItems));
    users.push_back(left);
  }
  EXPECT_EQ(negatives_of(users, rows, kItems), users);
}

TEST(SampleNegatives, NeverObservedOnEdgeSizes) {
  for (const int64_t degree : kEdgeSizes) {
    constexpr int64_t kItems = 300;
    std::vector<int32_t> row(kItems);
    std::iota(row.begin(), row.end(), 0);
    std::mt19937_64 generator(static_cast<uint64_t>(degree));
    std::shuffle(row.begin(), row.end(), generator);
    row.resize(static_cast<size_t>(degree));
    std::sort(row.begin(), row.end());
    for (const int64_t n : kEdgeSizes) {
      for (const int32_t item :
           negatives_of(std::vector<int32_t>(static_cast<size_t>(n), 0), {row}, kItems)) {
        EXPECT_GE(item, 0);
        EXPECT_LT(item, kItems);
        EXPECT_FALSE(std::binary_search(row.begin(), row.end(), item));
      }
    }
  }
}

TEST(SampleNegatives, FreshEveryEpoch) {
  const std::vector<int32_t> users(50, 0);
  const std::vector<std::vector<int32_t>> rows = {{3}};
  const std::vector<int32_t> one = negatives_of(users, rows, 1000);
  EXPECT_EQ(one, negatives_of(users, rows, 1000));
  EXPECT_NE(one, negatives_of(users, rows, 1000, {kKey.seed, kKey.purpose, kKey.epoch + 1}));
  EXPECT_NE(one, negatives_of(users, rows, 1000, {kKey.seed + 1, kKey.purpose, kKey.epoch}));
}

/// `wanted` items for every row, behind two columns that must stay.
std::vector<std::vector<int32_t>> subsets_of(const std::vector<std::vector<int32_t>>& rows,
                                             int64_t items, int64_t wanted) {
  constexpr int64_t kFirst = 2;
  const HostRows excluded(rows);
  const auto users = static_cast<int64_t>(rows.size());
  const int64_t cols = kFirst + wanted;
  const Guarded<int32_t> samples(std::vector<int32_t>(static_cast<size_t>(users * cols), -7));
  sample_uninteresting(samples.matrix(users, cols), kFirst, excluded.view(), items, kSubsetKey,
                       stream());
  const std::vector<int32_t> host = samples.host();
  std::vector<std::vector<int32_t>> result;
  for (int64_t user = 0; user < users; ++user) {
    const auto row = host.begin() + user * cols;
    EXPECT_EQ(row[0], -7);
    EXPECT_EQ(row[1], -7);
    result.emplace_back(row + kFirst, row + cols);
  }
  return result;
}

TEST(SampleUninteresting, EveryPairIsEquallyLikely) {
  constexpr int64_t kUsers = 4000;
  const std::vector<std::vector<int32_t>> rows(kUsers, {0, 3});
  std::map<std::set<int32_t>, int64_t> count;
  for (const auto& drawn : subsets_of(rows, 7, 2)) ++count[{drawn.begin(), drawn.end()}];
  EXPECT_EQ(count.size(), 10u);  // of the five items 1 2 4 5 6
  for (const auto& [pair, n] : count) {
    EXPECT_EQ(pair.size(), 2u);
    EXPECT_EQ(pair.count(0) + pair.count(3), 0u);
    EXPECT_TRUE(plausible(n, kUsers, 0.1)) << *pair.begin() << ", " << *pair.rbegin();
  }
}

TEST(SampleUninteresting, EveryLargeSubsetIsEquallyLikely) {
  // Four of five: the draws nearly always collide.
  constexpr int64_t kUsers = 3000;
  std::map<std::set<int32_t>, int64_t> count;
  for (const auto& drawn : subsets_of(std::vector<std::vector<int32_t>>(kUsers), 5, 4)) {
    ++count[{drawn.begin(), drawn.end()}];
  }
  EXPECT_EQ(count.size(), 5u);
  for (const auto& [subset, n] : count) EXPECT_TRUE(plausible(n, kUsers, 0.2));
}

TEST(SampleUninteresting, DistinctAndNeverExcluded) {
  for (const int64_t wanted : {0, 1, 31, 32, 33, 257, 512}) {
    std::vector<std::vector<int32_t>> rows;
    for (const int64_t degree : {0, 1, 33, 300}) {
      rows.emplace_back(static_cast<size_t>(degree));
      std::iota(rows.back().begin(), rows.back().end(), static_cast<int32_t>(degree));
    }
    constexpr int64_t kItems = 900;
    const auto drawn = subsets_of(rows, kItems, wanted);
    for (size_t user = 0; user < rows.size(); ++user) {
      const std::set<int32_t> distinct(drawn[user].begin(), drawn[user].end());
      EXPECT_EQ(static_cast<int64_t>(distinct.size()), wanted);
      for (const int32_t item : distinct) {
        EXPECT_GE(item, 0);
        EXPECT_LT(item, kItems);
        EXPECT_FALSE(std::binary_search(rows[user].begin(), rows[user].end(), item));
      }
    }
  }
}

TEST(SampleUninteresting, TakesAllWhereFewAreLeft) {
  const std::vector<std::vector<int32_t>> rows = {
      {0, 1, 2, 3, 4}, {1, 2, 3, 5}, {0, 1, 2, 3, 4, 5}, {2, 4, 5}};
  EXPECT_EQ(subsets_of(rows, 6, 3),
            (std::vector<std::vector<int32_t>>{{5, -1, -1}, {0, 4, -1}, {-1, -1, -1}, {0, 1, 3}}));
}

TEST(Negatives, RejectsBadShapes) {
  const HostRows rows({{1}, {2}});
  const Guarded<int32_t> three(3), two(2), samples(2 * (kMaxUninteresting + 1));
  EXPECT_THROW(sample_negatives(three.view(), two.const_view(), rows.view(), 5, kKey, stream()),
               std::invalid_argument);
  EXPECT_THROW(sample_negatives(two.view(), two.const_view(), rows.view(), -1, kKey, stream()),
               std::invalid_argument);
  const auto draw = [&](int64_t users, int64_t cols, int64_t first) {
    sample_uninteresting(samples.matrix(users, cols), first, rows.view(), 2000, kSubsetKey,
                         stream());
  };
  EXPECT_NO_THROW(draw(2, kMaxUninteresting, 0));
  EXPECT_NO_THROW(draw(2, kMaxUninteresting + 1, 1));
  EXPECT_THROW(draw(2, kMaxUninteresting + 1, 0), std::invalid_argument);
  EXPECT_THROW(draw(2, 3, 4), std::invalid_argument);
  EXPECT_THROW(draw(1, 3, 1), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::negatives_test
