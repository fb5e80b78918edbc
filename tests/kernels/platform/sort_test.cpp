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

Pairs sorted(const Pairs& in, const std::vector<int64_t>& offsets, int bits) {
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  Pairs out = in;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    std::vector<size_t> order(static_cast<size_t>(offsets[s + 1] - offsets[s]));
    std::iota(order.begin(), order.end(), static_cast<size_t>(offsets[s]));
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return (in.keys[a] & mask) < (in.keys[b] & mask); });
    for (size_t i = 0; i < order.size(); ++i) {
      out.keys[static_cast<size_t>(offsets[s]) + i] = in.keys[order[i]];
      out.values[static_cast<size_t>(offsets[s]) + i] = in.values[order[i]];
    }
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
        const Pairs expected = sorted(pairs, {0, n}, bits);
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

TEST(SortTest, SegmentsAreSortedStablyEachForItself) {
  const std::vector<std::vector<int64_t>> cases = {
      {0},           {0, 0},
      {0, 1},        {0, 0, 0, 5, 5, 6, 40, 40},
      {0, 257, 300}, {0, 3, 6, 9, 12, 15, 18, 1000},
  };
  for (const std::vector<int64_t>& offsets : cases) {
    const int64_t n = offsets.back();
    const auto segments = static_cast<int64_t>(offsets.size()) - 1;
    for (const uint64_t distinct : {uint64_t{0}, uint64_t{3}}) {
      const Pairs pairs = random_pairs(n, distinct, 9);
      const Pairs expected = sorted(pairs, offsets, 64);
      const Guarded<uint64_t> in_keys(pairs.keys), out_keys(n);
      const Guarded<uint32_t> in_values(pairs.values), out_values(n);
      const Guarded<int64_t> device_offsets(offsets);
      const Guarded<uint8_t> scratch(segmented_sort_scratch_bytes(n, segments));
      segmented_sort_pairs({out_keys.view(), out_values.view()}, {in_keys.view(), in_values.view()},
                           device_offsets.const_view(), scratch.view(), stream());
      EXPECT_EQ(out_keys.host(), expected.keys) << segments << " segments of " << n;
      EXPECT_EQ(out_values.host(), expected.values) << segments << " segments of " << n;
    }
  }
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
  const Guarded<int64_t> offsets(std::vector<int64_t>{0, 2}), sums(2);
  const SortBuffers in = {in_keys.view(), in_values.view()};
  const SortBuffers out = {out_keys.view(), out_values.view()};
  EXPECT_THROW(sort_pairs(out, in, 8, {}, stream()), std::invalid_argument);
  EXPECT_THROW(segmented_sort_pairs(out, in, offsets.const_view(), {}, stream()),
               std::invalid_argument);
  EXPECT_THROW(exclusive_sum(sums.view(), offsets.const_view(), {}, stream()),
               std::invalid_argument);
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
