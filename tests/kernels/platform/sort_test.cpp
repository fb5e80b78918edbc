#include "kernels/platform/sort.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/kernels/support.h"

namespace derrd::test::sort_test {
namespace {

struct Pairs {
  std::vector<uint64_t> keys;
  std::vector<uint32_t> values;
};

/// Keys with many ties below `distinct`; the values are the positions, so that stability shows.
Pairs random_pairs(int64_t n, uint64_t distinct, uint64_t seed) {
  std::mt19937_64 generator(seed);
  Pairs pairs;
  for (int64_t i = 0; i < n; ++i) {
    pairs.keys.push_back(distinct == 0 ? generator() : generator() % distinct);
    pairs.values.push_back(static_cast<uint32_t>(i));
  }
  return pairs;
}

Pairs sorted(const Pairs& in) {
  std::vector<size_t> order(in.keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return in.keys[a] < in.keys[b]; });
  Pairs out;
  for (const size_t i : order) {
    out.keys.push_back(in.keys[i]);
    out.values.push_back(in.values[i]);
  }
  return out;
}

TEST(SortTest, PairsAreSortedStably) {
  for (const int64_t n : {0, 1, 2, 31, 32, 33, 257, 3000}) {
    for (const int bits : {8, 17, 32, 33, 64}) {
      for (const uint64_t distinct : {uint64_t{0}, uint64_t{5}}) {
        // Keys have no bits above `bits`, as callers know how far theirs reach.
        Pairs pairs = random_pairs(n, distinct, 7);
        for (uint64_t& key : pairs.keys)
          key &= bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
        const Pairs expected = sorted(pairs);
        const Guarded<uint64_t> in_keys(pairs.keys), out_keys(n);
        const Guarded<uint32_t> in_values(pairs.values), out_values(n);
        const Guarded<uint8_t> scratch(sort_pairs_scratch_bytes(n));
        sort_pairs({out_keys.view(), out_values.view()}, {in_keys.view(), in_values.view()}, bits,
                   scratch.view(), stream());
        EXPECT_EQ(out_keys.host(), expected.keys) << n << " pairs, " << bits << " bits";
        EXPECT_EQ(out_values.host(), expected.values) << n << " pairs, " << bits << " bits";
      }
    }
  }
}

/// Pairs in segments of these lengths, with `distinct` different values.
Pairs segments_of(const std::vector<int64_t>& lengths, int value_bits, uint64_t distinct) {
  const int64_t n = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  Pairs pairs = random_pairs(n, distinct, 9);
  size_t i = 0;
  for (size_t segment = 0; segment < lengths.size(); ++segment) {
    for (const size_t end = i + static_cast<size_t>(lengths[segment]); i < end; ++i) {
      pairs.keys[i] = segment << value_bits | (pairs.keys[i] & ((uint64_t{1} << value_bits) - 1));
    }
  }
  return pairs;
}

void expect_sorted_segments(const Pairs& pairs, int value_bits) {
  const auto n = static_cast<int64_t>(pairs.keys.size());
  const Pairs expected = sorted(pairs);
  const Guarded<uint64_t> keys(pairs.keys);
  const Guarded<uint32_t> values(pairs.values);
  const Guarded<uint8_t> scratch(sort_segments_scratch_bytes(n));
  const Counters before = counters();
  sort_segments({keys.view(), values.view()}, value_bits, scratch.view(), stream());
  const Counters after = counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.synchronizations, before.synchronizations);
  EXPECT_EQ(keys.host(), expected.keys) << n << " pairs";
  EXPECT_EQ(values.host(), expected.values) << n << " pairs";
}

TEST(SortTest, SegmentsAreSortedStablyEachForItself) {
  const std::vector<std::vector<int64_t>> cases = {{},
                                                   {0},
                                                   {1},
                                                   {0, 0, 5, 0, 1, 34},
                                                   {257, 43},
                                                   {3, 3, 3, 3, 3, 3, 982},
                                                   std::vector<int64_t>(700, 31),  // several parts
                                                   {20'000, 1, 15'000}};           // over a part
  for (const std::vector<int64_t>& lengths : cases) {
    for (const uint64_t distinct : {uint64_t{0}, uint64_t{3}}) {
      for (const int value_bits : {kSegmentValueBits, 40}) {
        expect_sorted_segments(segments_of(lengths, value_bits, distinct), value_bits);
      }
    }
  }
}

// The scratch is what Thrust asks for, at sizes on both sides of CUB's changes of algorithm.
TEST(SortTest, ScratchOfSegmentsIsEnoughAndNotMore) {
  for (int64_t n = 1; n < 100'000; n = n * 5 / 4 + 31) {
    expect_sorted_segments(segments_of({n / 3, n - n / 3}, kSegmentValueBits, 0),
                           kSegmentValueBits);
    const DeviceArray<uint64_t> keys(n);
    const DeviceArray<uint32_t> values(n);
    const DeviceArray<uint8_t> scratch(sort_segments_scratch_bytes(n) - 1);
    EXPECT_THROW(
        sort_segments({keys.view(), values.view()}, kSegmentValueBits, scratch.view(), stream()),
        std::invalid_argument)
        << n << " pairs";
  }
}

TEST(SortTest, PairsBehindAllSegmentsStayThere) {
  Pairs pairs = segments_of({5, 40'000}, kSegmentValueBits, 0);
  std::fill(pairs.keys.begin() + 300, pairs.keys.end(), kBehindSegments);
  expect_sorted_segments(pairs, kSegmentValueBits);
}

template <class T>
void expect_exclusive_sum(int64_t n, bool in_place) {
  const std::vector<int32_t> random = random_below(n, 1000, 13);
  const std::vector<T> values(random.begin(), random.end());
  std::vector<T> expected(values.size());
  std::exclusive_scan(values.begin(), values.end(), expected.begin(), T{0});
  const Guarded<T> in(values), out(n);
  const Guarded<uint8_t> scratch(exclusive_sum_scratch_bytes(n));
  const Guarded<T>& target = in_place ? in : out;
  exclusive_sum(target.view(), in.const_view(), scratch.view(), stream());
  EXPECT_EQ(target.host(), expected) << n << " values of " << sizeof(T) << " bytes";
}

TEST(SortTest, ExclusiveSums) {
  for (const int64_t n : kEdgeSizes) {
    for (const bool in_place : {false, true}) {
      expect_exclusive_sum<int32_t>(n, in_place);
      expect_exclusive_sum<int64_t>(n, in_place);
    }
  }
}

TEST(SortTest, ForgottenScratchIsAnError) {
  const Guarded<uint64_t> in_keys(std::vector<uint64_t>{2, 1}), out_keys(2);
  const Guarded<uint32_t> in_values(std::vector<uint32_t>{0, 1}), out_values(2);
  const Guarded<int64_t> sums(2);
  const SortBuffers in = {in_keys.view(), in_values.view()};
  const SortBuffers out = {out_keys.view(), out_values.view()};
  EXPECT_THROW(sort_pairs(out, in, 8, {}, stream()), std::invalid_argument);
  EXPECT_THROW(sort_segments(in, kSegmentValueBits, {}, stream()), std::invalid_argument);
  EXPECT_THROW(exclusive_sum(sums.view(), sums.const_view(), {}, stream()), std::invalid_argument);
}

TEST(SortTest, SumsBeyondTheRangeOfInt32) {
  const std::vector<int64_t> values(5, int64_t{1} << 31);
  const Guarded<int64_t> in(values);
  const Guarded<uint8_t> scratch(exclusive_sum_scratch_bytes(5));
  exclusive_sum(in.view(), in.const_view(), scratch.view(), stream());
  EXPECT_EQ(in.host().back(), int64_t{1} << 33);
}

}  // namespace
}  // namespace derrd::test::sort_test
