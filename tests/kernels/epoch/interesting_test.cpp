#include "kernels/epoch/interesting.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/epoch/sampling_support.h"
#include "tests/kernels/support.h"
#include "tests/oracles/sampling.h"

namespace derrd::test::interesting_test {
namespace {

constexpr RandomKey kKey = {20, RandomPurpose::kInteresting, 3};

/// `users` lists of `length` items, each list 100, 101, ... with the last `padding` entries -1.
std::vector<int32_t> lists_of(int64_t users, int64_t length, int64_t padding = 0) {
  std::vector<int32_t> lists;
  for (int64_t user = 0; user < users; ++user) {
    for (int64_t i = 0; i < length; ++i) {
      lists.push_back(i < length - padding ? static_cast<int32_t>(100 + i) : -1);
    }
  }
  return lists;
}

/// Positions of each list by ascending key.
std::vector<uint32_t> drawn_order(const Guarded<int32_t>& lists, int64_t users, int64_t length,
                                  float t, RandomKey key) {
  const cases::SortArrays<Guarded> pairs(users * length);
  interesting_keys(pairs.unsorted(), lists.matrix(users, length), t, key, stream());
  pairs.sort_segments();
  return pairs.values.host();
}

TEST(InterestingKeys, DrawsWithTheExactProbabilities) {
  constexpr int64_t kUsers = 3000;
  constexpr int64_t kLength = 5;
  constexpr int64_t kDrawn = 2;
  const Guarded<int32_t> lists(lists_of(kUsers, kLength));
  for (const float t : {0.8f, 3.0f}) {
    const std::vector<uint32_t> order = drawn_order(lists, kUsers, kLength, t, kKey);
    std::vector<int64_t> included(kLength, 0), first(kLength, 0);
    for (int64_t user = 0; user < kUsers; ++user) {
      const uint32_t* row = order.data() + user * kLength;
      ++first[row[0]];
      for (int64_t i = 0; i < kDrawn; ++i) ++included[row[i]];
    }
    const auto expected = oracle::inclusion_probabilities(kLength, kDrawn, t);
    for (size_t k = 0; k < kLength; ++k) {
      EXPECT_TRUE(plausible(included[k], kUsers, expected.included[k])) << "rank " << k + 1;
      EXPECT_TRUE(plausible(first[k], kUsers, expected.first[k])) << "rank " << k + 1;
    }
  }
}

TEST(InterestingKeys, EveryOrderIsAPermutation) {
  for (const int64_t length : {1, 3, 4, 31, 32, 33, 257}) {
    const Guarded<int32_t> lists(lists_of(3, length));
    const std::vector<uint32_t> order = drawn_order(lists, 3, length, 10.0f, kKey);
    for (int64_t user = 0; user < 3; ++user) {
      std::vector<uint32_t> row(order.begin() + user * length, order.begin() + (user + 1) * length);
      std::sort(row.begin(), row.end());
      for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i], i);
    }
  }
}

// With t = 0.05 neighbours differ by 20, and the noise of 23-bit uniforms spans 19.5: nothing can
// change places, down to weights of e^-12000. Keys on both sides of zero are in order.
TEST(InterestingKeys, LongListsAndTinyWeightsStayInOrder) {
  constexpr int64_t kLength = 600;
  const Guarded<int32_t> lists(lists_of(2, kLength));
  const std::vector<uint32_t> order = drawn_order(lists, 2, kLength, 0.05f, kKey);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i % kLength);
}

TEST(InterestingKeys, PaddingComesLast) {
  const Guarded<int32_t> lists(lists_of(40, 7, 3));
  const std::vector<uint32_t> order = drawn_order(lists, 40, 7, 1e6f, kKey);
  for (int64_t user = 0; user < 40; ++user) {
    for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(order[user * 7 + i] >= 4, i >= 4);
  }
}

TEST(InterestingKeys, DependOnSeedAndEpochAndUserAlone) {
  const Guarded<int32_t> lists(lists_of(2, 20));
  const auto order = [&](RandomKey key) { return drawn_order(lists, 2, 20, 1e6f, key); };
  const std::vector<uint32_t> one = order(kKey);
  EXPECT_EQ(one, order(kKey));
  EXPECT_NE(one, order({kKey.seed + 1, kKey.purpose, kKey.epoch}));
  EXPECT_NE(one, order({kKey.seed, kKey.purpose, kKey.epoch + 1}));
  EXPECT_FALSE(std::equal(one.begin(), one.begin() + 20, one.begin() + 20));
}

TEST(InterestingItems, MatchesOracle) {
  constexpr int64_t kUsers = 4;
  constexpr int64_t kLength = 34;
  for (const int64_t k : {0, 1, 5, 33, 40}) {
    for (const int64_t padding : {0, 2, 30, 34}) {
      SCOPED_TRACE(testing::Message() << "K " << k << ", padding " << padding);
      const std::vector<int32_t> host_lists = lists_of(kUsers, kLength, padding);
      const Guarded<int32_t> lists(host_lists);
      const std::vector<uint32_t> order = drawn_order(lists, kUsers, kLength, 10.0f, kKey);
      const Guarded<uint32_t> sorted(order);
      const Guarded<int32_t> samples(std::vector<int32_t>(kUsers * (k + 2), 7));
      const Guarded<int32_t> lowest(kUsers), positions(kUsers * k), taken(kUsers * k);
      interesting_items(samples.matrix(kUsers, k + 2), lowest.view(), lists.matrix(kUsers, kLength),
                        sorted.const_view(), k, stream());
      interesting_positions(positions.matrix(kUsers, k), lists.matrix(kUsers, kLength),
                            sorted.const_view(), stream());
      gather_at(taken.matrix(kUsers, k), lists.matrix(kUsers, kLength), positions.matrix(kUsers, k),
                -1, stream());
      std::vector<int32_t> expected_samples, expected_lowest, expected_positions, expected_taken;
      for (int64_t begin = 0; begin < kUsers * kLength; begin += kLength) {
        const auto row =
            oracle::take_items({host_lists.begin() + begin, host_lists.begin() + begin + kLength},
                               {order.begin() + begin, order.begin() + begin + kLength}, k);
        const auto append = [](std::vector<int32_t>& all, const std::vector<int32_t>& more) {
          all.insert(all.end(), more.begin(), more.end());
        };
        append(expected_samples, row.items);
        append(expected_samples, {7, 7});  // columns from K on stay
        append(expected_taken, row.items);
        append(expected_positions, row.positions);
        expected_lowest.push_back(row.lowest);
      }
      EXPECT_EQ(samples.host(), expected_samples);
      EXPECT_EQ(lowest.host(), expected_lowest);
      EXPECT_EQ(positions.host(), expected_positions);
      EXPECT_EQ(taken.host(), expected_taken);
    }
  }
}

TEST(GatherAt, PicksWhatStandsBesideTheItems) {
  const Guarded<float> scores({9, 8, 7, 6, 5, 4});
  const Guarded<int32_t> positions({2, 0, -1, -1, 1, 1, 1, 2});
  const Guarded<float> taken(8);
  gather_at(taken.matrix(2, 4), scores.matrix(2, 3), positions.matrix(2, 4), 0.5f, stream());
  EXPECT_EQ(taken.host(), (std::vector<float>{7, 9, 0.5f, 0.5f, 5, 5, 5, 4}));
}

TEST(TopItems, AreTheFirstOfTheList) {
  const Guarded<int32_t> lists({5, 3, 8, 4, -1, -1, -1, -1, -1});
  const Guarded<int32_t> samples(std::vector<int32_t>(15, 9));
  const Guarded<int32_t> lowest(3);
  top_items(samples.matrix(3, 5), lowest.view(), lists.matrix(3, 3), 4, stream());
  EXPECT_EQ(samples.host(),
            (std::vector<int32_t>{5, 3, 8, -1, 9, 4, -1, -1, -1, 9, -1, -1, -1, -1, 9}));
  EXPECT_EQ(lowest.host(), (std::vector<int32_t>{3, 1, 0}));
  top_items(samples.matrix(3, 5), lowest.view(), lists.matrix(3, 3), 2, stream());
  EXPECT_EQ(lowest.host(), (std::vector<int32_t>{2, 1, 0}));
}

TEST(Interesting, AcceptsEmptyInput) {
  const Guarded<int32_t> nothing(0);
  const Guarded<uint64_t> keys(0);
  const Guarded<uint32_t> values(0);
  const SortBuffers pairs = {keys.view(), values.view()};
  EXPECT_NO_THROW(interesting_keys(pairs, nothing.matrix(0, 5), 1.0f, kKey, stream()));
  EXPECT_NO_THROW(interesting_keys(pairs, nothing.matrix(5, 0), 1.0f, kKey, stream()));
  const Guarded<int32_t> samples(4), lowest(2);
  top_items(samples.matrix(2, 2), lowest.view(), nothing.matrix(2, 0), 2, stream());
  EXPECT_EQ(samples.host(), std::vector<int32_t>(4, -1));
  interesting_items(samples.matrix(2, 2), lowest.view(), nothing.matrix(2, 0), values.const_view(),
                    2, stream());
  EXPECT_EQ(samples.host(), std::vector<int32_t>(4, -1));
  EXPECT_EQ(lowest.host(), std::vector<int32_t>(2, 0));
  const Guarded<int32_t> positions(4);
  interesting_positions(positions.matrix(2, 2), nothing.matrix(2, 0), values.const_view(),
                        stream());
  EXPECT_EQ(positions.host(), std::vector<int32_t>(4, -1));
  gather_at(samples.matrix(2, 2), nothing.matrix(2, 0), positions.matrix(2, 2), 3, stream());
  EXPECT_EQ(samples.host(), std::vector<int32_t>(4, 3));
  EXPECT_NO_THROW(
      gather_at(nothing.matrix(0, 2), nothing.matrix(0, 3), nothing.matrix(0, 2), -1, stream()));
}

TEST(Interesting, RejectsBadShapes) {
  const Guarded<int32_t> lists(6), samples(8), lowest(2);
  const Guarded<uint64_t> keys(6);
  const Guarded<uint32_t> values(6);
  const auto draw = [&](int64_t n, float t) {
    interesting_keys({keys.view().slice(0, n), values.view()}, lists.matrix(2, 3), t, kKey,
                     stream());
  };
  EXPECT_NO_THROW(draw(6, 1.0f));
  EXPECT_THROW(draw(5, 1.0f), std::invalid_argument);
  EXPECT_THROW(draw(6, 0.0f), std::invalid_argument);
  EXPECT_THROW(draw(6, std::numeric_limits<float>::quiet_NaN()), std::invalid_argument);
  EXPECT_THROW(top_items(samples.matrix(2, 4), lowest.view(), lists.matrix(2, 3), 5, stream()),
               std::invalid_argument);
  EXPECT_THROW(top_items(samples.matrix(4, 2), lowest.view(), lists.matrix(2, 3), 1, stream()),
               std::invalid_argument);
  EXPECT_THROW(interesting_items(samples.matrix(2, 4), lowest.view(), lists.matrix(2, 3),
                                 values.const_view().slice(0, 5), 2, stream()),
               std::invalid_argument);
  EXPECT_THROW(interesting_positions(samples.matrix(2, 2), lists.matrix(2, 3),
                                     values.const_view().slice(0, 5), stream()),
               std::invalid_argument);
  EXPECT_THROW(interesting_positions(samples.matrix(4, 2), lists.matrix(2, 3), values.const_view(),
                                     stream()),
               std::invalid_argument);
  EXPECT_THROW(
      gather_at(samples.matrix(2, 4), lists.matrix(3, 2), samples.matrix(2, 4), -1, stream()),
      std::invalid_argument);
  EXPECT_THROW(
      gather_at(samples.matrix(2, 4), lists.matrix(2, 3), samples.matrix(2, 3), -1, stream()),
      std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::interesting_test
