#include "kernels/epoch/shuffle.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/epoch/sampling_support.h"
#include "tests/kernels/support.h"
#include "tests/oracles/initialize.h"

namespace derrd::test::shuffle_test {
namespace {

/// The first two random words of an element.
std::array<uint32_t, 2> words(RandomKey key, uint32_t element) {
  const std::array<uint32_t, 4> bits =
      oracle::philox({element, 0, key.epoch, static_cast<uint32_t>(key.purpose) << 24},
                     {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
  return {bits[0], bits[1]};
}

std::vector<uint32_t> shuffled(int64_t n, uint64_t seed, uint32_t epoch) {
  const cases::SortArrays<Guarded> pairs(n);
  shuffle(pairs.sorted(), pairs.unsorted(), {seed, RandomPurpose::kShuffle, epoch},
          pairs.scratch.view(), stream());
  return pairs.sorted_values.host();
}

TEST(Shuffle, IsAPermutation) {
  for (const int64_t n : kEdgeSizes) {
    std::vector<uint32_t> order = shuffled(n, 1, 0);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
  }
}

TEST(Shuffle, EveryElementIsEquallyLikelyAtEveryPlace) {
  constexpr uint32_t kEpochs = 400;
  constexpr size_t kSize = 5;
  int64_t count[kSize][kSize] = {};
  for (uint32_t epoch = 0; epoch < kEpochs; ++epoch) {
    const std::vector<uint32_t> order = shuffled(kSize, 1, epoch);
    for (size_t i = 0; i < kSize; ++i) ++count[i][order[i]];
  }
  for (const auto& values : count) {
    for (const int64_t n : values) EXPECT_TRUE(plausible(n, kEpochs, 1.0 / kSize));
  }
}

TEST(Shuffle, KeysAreTheFirstRandomBits) {
  constexpr int64_t kSize = 2000;
  constexpr int kBits = 11 + 7;
  const Guarded<uint64_t> keys(kSize);
  const Guarded<uint32_t> values(kSize);
  shuffle_keys({keys.view(), values.view()}, {1, RandomPurpose::kShuffle, 0}, stream());
  const std::vector<uint64_t> host = keys.host();
  for (int bit = 0; bit < kBits; ++bit) {
    const int64_t ones =
        std::count_if(host.begin(), host.end(), [&](uint64_t key) { return key >> bit & 1; });
    EXPECT_TRUE(plausible(ones, kSize, 0.5)) << "bit " << bit;
  }
  for (uint32_t e = 0; e < kSize; ++e) {
    EXPECT_EQ(host[e], words({1, RandomPurpose::kShuffle, 0}, e)[0] >> (32 - kBits));
  }
}

TEST(Shuffle, ElementsOfEqualKeysAreInTheOrderOfAllTheirBits) {
  const RandomKey key = {3, RandomPurpose::kShuffle, 7};
  for (const int64_t n : kEdgeSizes) {
    for (const int64_t run : {1, 2, 5, 1000}) {
      std::vector<uint64_t> keys(static_cast<size_t>(n));
      for (size_t i = 0; i < keys.size(); ++i) keys[i] = i / static_cast<size_t>(run);
      std::vector<uint32_t> expected(keys.size());
      std::iota(expected.rbegin(), expected.rend(), 0u);
      const Guarded<uint64_t> device_keys(keys);
      const Guarded<uint32_t> order(expected);
      for (int64_t i = 0; i < n; i += run) {
        std::stable_sort(expected.begin() + i, expected.begin() + std::min(n, i + run),
                         [&](uint32_t a, uint32_t b) { return words(key, a) < words(key, b); });
      }
      order_ties({device_keys.view(), order.view()}, key, stream());
      EXPECT_EQ(order.host(), expected) << n << " elements, runs of " << run;
      EXPECT_EQ(device_keys.host(), keys);
    }
  }
}

// Hundreds of elements share their keys.
TEST(Shuffle, IsTheOrderOfSixtyFourBits) {
  constexpr int64_t kSize = 100'000;
  std::vector<std::array<uint32_t, 2>> bits;
  for (uint32_t e = 0; e < kSize; ++e) bits.push_back(words({1, RandomPurpose::kShuffle, 0}, e));
  std::vector<uint32_t> expected(kSize);
  std::iota(expected.begin(), expected.end(), 0u);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](uint32_t a, uint32_t b) { return bits[a] < bits[b]; });
  EXPECT_EQ(shuffled(kSize, 1, 0), expected);
}

TEST(Shuffle, DependsOnSeedAndEpoch) {
  EXPECT_EQ(shuffled(50, 1, 0), shuffled(50, 1, 0));
  EXPECT_NE(shuffled(50, 1, 0), shuffled(50, 1, 1));
  EXPECT_NE(shuffled(50, 1, 0), shuffled(50, 2, 0));
}

TEST(GatherValues, FollowsTheOrder) {
  for (const int64_t n : kEdgeSizes) {
    if (n == 0) continue;
    const std::vector<int32_t> in = random_below(n, 1000, 1);
    const std::vector<int32_t> picks = random_below(2 * n, static_cast<int32_t>(n), 2);
    const Guarded<int32_t> device_in(in), out(2 * n);
    const Guarded<uint32_t> order(std::vector<uint32_t>(picks.begin(), picks.end()));
    for (const size_t repeats : {1, 2, 5}) {
      gather_values(Gathering{out.view(), device_in.const_view(), order.const_view(),
                              static_cast<int64_t>(repeats)},
                    stream());
      const std::vector<int32_t> gathered = out.host();
      for (size_t i = 0; i < gathered.size(); ++i) {
        EXPECT_EQ(gathered[i], in[static_cast<size_t>(picks[i]) / repeats]);
      }
    }
  }
}

TEST(GatherValues, CallsShareALaunch) {
  const Guarded<int32_t> in(std::vector<int32_t>{5, 6, 7, 8}), a(3), empty(0), b(2);
  const Guarded<uint32_t> to_a(std::vector<uint32_t>{3, 0, 2}), to_none(0);
  const Guarded<uint32_t> to_b(std::vector<uint32_t>{7, 4});
  CallList<Gathering> calls;
  calls.add({a.view(), in.const_view(), to_a.const_view(), 1});
  calls.add({empty.view(), in.const_view(), to_none.const_view(), 1});
  calls.add({b.view(), in.const_view(), to_b.const_view(), 2});
  const int64_t launches = counters().launches;
  gather_values(calls, stream());
  EXPECT_EQ(counters().launches, launches + 1);
  EXPECT_EQ(a.host(), (std::vector<int32_t>{8, 5, 7}));
  EXPECT_EQ(b.host(), (std::vector<int32_t>{8, 7}));
}

TEST(Shuffle, RejectsBadShapes) {
  const Guarded<uint64_t> keys(4);
  const Guarded<uint32_t> values(3);
  const Guarded<int32_t> out(4);
  EXPECT_THROW(
      shuffle_keys({keys.view(), values.view()}, {1, RandomPurpose::kShuffle, 0}, stream()),
      std::invalid_argument);
  EXPECT_THROW(order_ties({keys.view(), values.view()}, {1, RandomPurpose::kShuffle, 0}, stream()),
               std::invalid_argument);
  const auto gather = [&](Vector<const uint32_t> order, int64_t repeats) {
    gather_values(Gathering{out.view(), out.const_view(), order, repeats}, stream());
  };
  EXPECT_THROW(gather(values.const_view(), 1), std::invalid_argument);
  const Guarded<uint32_t> order(std::vector<uint32_t>(4));
  EXPECT_THROW(gather(order.const_view(), 0), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::shuffle_test
