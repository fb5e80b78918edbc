#include "kernels/epoch/slot_index.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/support.h"

namespace derrd::test::slot_index_test {
namespace {

TEST(RankingOccurrences, InvertTheSamples) {
  for (const int64_t slots : {1, 3, 4, 33}) {
    constexpr int64_t kUsers = 9;
    constexpr int32_t kItems = 11;
    std::vector<int32_t> samples = random_below(kUsers * slots, kItems + 1, 5);
    for (int32_t& item : samples) --item;  // -1: empty
    const int64_t n = kUsers * slots;
    const Guarded<int32_t> device_samples(samples);
    const cases::SortArrays<Guarded> pairs(n);
    const Guarded<int32_t> offsets(kItems + 1);
    ranking_occurrence_keys(pairs.unsorted(), device_samples.matrix(kUsers, slots), stream());
    pairs.sort(32);
    row_offsets(offsets.view(), pairs.sorted_keys.const_view(), stream());

    const SlotCode code = slot_code(slots);
    const std::vector<uint32_t> occurrences = pairs.sorted_values.host();
    const std::vector<int32_t> bounds = offsets.host();
    for (int32_t item = 0; item < kItems; ++item) {
      std::vector<int64_t> expected, actual;
      for (int64_t i = 0; i < n; ++i) {
        if (samples[static_cast<size_t>(i)] == item) expected.push_back(i);
      }
      for (int32_t o = bounds[item]; o < bounds[item + 1]; ++o) {
        const uint32_t occurrence = occurrences[static_cast<size_t>(o)];
        actual.push_back(code.anchor(occurrence) * slots + code.slot(occurrence));
      }
      EXPECT_EQ(actual, expected) << "item " << item << " of " << slots << " slots";
    }
  }
}

TEST(RankingOccurrences, CodesFillThirtyTwoBits) {
  EXPECT_TRUE(slot_code_fits(int64_t{1} << 25, 80));
  EXPECT_FALSE(slot_code_fits((int64_t{1} << 25) + 1, 80));
  const SlotCode code = slot_code(80);
  const uint32_t last = code.pack((int64_t{1} << 25) - 1, 79);
  EXPECT_EQ(code.anchor(last), (int64_t{1} << 25) - 1);
  EXPECT_EQ(code.slot(last), 79);
  EXPECT_EQ(slot_code(1).anchor(slot_code(1).pack(12, 0)), 12);
}

TEST(RowOffsets, CountTheKeysBelowEachRow) {
  const Guarded<uint64_t> keys({1, 1, 1, 4, kNoItemKey, kNoItemKey});
  const Guarded<int32_t> offsets(7);
  row_offsets(offsets.view(), keys.const_view(), stream());
  EXPECT_EQ(offsets.host(), (std::vector<int32_t>{0, 0, 3, 3, 3, 4, 4}));
  const Guarded<uint64_t> none(0);
  row_offsets(offsets.view(), none.const_view(), stream());
  EXPECT_EQ(offsets.host(), std::vector<int32_t>(7, 0));
}

TEST(RankingOccurrences, AcceptsEmptyInput) {
  const Guarded<int32_t> nothing(0);
  const Guarded<uint64_t> keys(0);
  const Guarded<uint32_t> values(0);
  const SortBuffers pairs = {keys.view(), values.view()};
  EXPECT_NO_THROW(ranking_occurrence_keys(pairs, nothing.matrix(0, 4), stream()));
}

TEST(RankingOccurrences, RejectsBadShapes) {
  const Guarded<int32_t> samples(8);
  const Guarded<uint64_t> keys(6);
  const Guarded<uint32_t> values(6);
  EXPECT_THROW(
      ranking_occurrence_keys({keys.view(), values.view()}, samples.matrix(2, 4), stream()),
      std::invalid_argument);
}

TEST(SlotOrderKeys, SortByFallingScoreWithEmptySlotsLast) {
  for (const int64_t slots : {0, 1, 31, 32, 33, 257}) {
    constexpr int64_t kUsers = 3;
    const int64_t n = kUsers * slots;
    std::vector<int32_t> samples = random_below(n, 50, 1);
    std::vector<float> scores(static_cast<size_t>(n));
    const std::vector<int32_t> steps = random_below(n, 9, 2);  // many ties
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = 20.0f * static_cast<float>(steps[i] - 4);
      if (i % 5 == 2) samples[i] = -1;
    }
    const Guarded<int32_t> device_samples(samples);
    const Guarded<float> device_scores(scores);
    cases::SortArrays<Guarded> pairs(n);
    pairs.values.set({samples.begin(), samples.end()});
    slot_order_keys(pairs.keys.view(), device_samples.matrix(kUsers, slots),
                    device_scores.matrix(kUsers, slots), stream());
    pairs.sort_segments();
    std::vector<uint32_t> expected;
    for (int64_t user = 0; user < kUsers; ++user) {
      std::vector<size_t> order(static_cast<size_t>(slots));
      std::iota(order.begin(), order.end(), static_cast<size_t>(user * slots));
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        if ((samples[a] < 0) != (samples[b] < 0)) return samples[b] < 0;
        return samples[a] >= 0 && scores[a] > scores[b];
      });
      for (const size_t i : order) expected.push_back(static_cast<uint32_t>(samples[i]));
    }
    EXPECT_EQ(pairs.values.host(), expected) << slots << " slots";
  }
}

TEST(SlotOrderKeys, EmptySlotsStandBehindNan) {
  const float nan = std::bit_cast<float>(~0u);
  const Guarded<int32_t> samples({-1, 5, 6});
  const Guarded<float> scores({0.0f, nan, 1.0f});
  const Guarded<uint64_t> keys(3);
  slot_order_keys(keys.view(), samples.matrix(1, 3), scores.matrix(1, 3), stream());
  const std::vector<uint64_t> host = keys.host();
  EXPECT_LT(host[1], host[0]);
  EXPECT_LT(host[2], host[1]);
}

}  // namespace
}  // namespace derrd::test::slot_index_test
