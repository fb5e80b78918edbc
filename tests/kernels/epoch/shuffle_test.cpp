#include "kernels/epoch/shuffle.h"

#include <algorithm>
#include <numeric>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/epoch/sampling_support.h"
#include "tests/kernels/support.h"

namespace derrd::test::shuffle_test {
namespace {

std::vector<uint32_t> shuffled(int64_t n, uint64_t seed, uint32_t epoch) {
  const cases::SortArrays<Guarded> pairs(n);
  shuffle_keys(pairs.unsorted(), {seed, RandomPurpose::kShuffle, epoch}, stream());
  pairs.sort(64);
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

TEST(Shuffle, KeysAreSixtyFourRandomBits) {
  constexpr int64_t kSize = 2000;
  const Guarded<uint64_t> keys(kSize);
  const Guarded<uint32_t> values(kSize);
  shuffle_keys({keys.view(), values.view()}, {1, RandomPurpose::kShuffle, 0}, stream());
  const std::vector<uint64_t> host = keys.host();
  for (int bit = 0; bit < 64; ++bit) {
    const int64_t ones =
        std::count_if(host.begin(), host.end(), [&](uint64_t key) { return key >> bit & 1; });
    EXPECT_TRUE(plausible(ones, kSize, 0.5)) << "bit " << bit;
  }
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
      gather_values(out.view(), device_in.const_view(), order.const_view(),
                    static_cast<int64_t>(repeats), stream());
      const std::vector<int32_t> gathered = out.host();
      for (size_t i = 0; i < gathered.size(); ++i) {
        EXPECT_EQ(gathered[i], in[static_cast<size_t>(picks[i]) / repeats]);
      }
    }
  }
}

TEST(Shuffle, RejectsBadShapes) {
  const Guarded<uint64_t> keys(4);
  const Guarded<uint32_t> values(3);
  const Guarded<int32_t> out(4);
  EXPECT_THROW(
      shuffle_keys({keys.view(), values.view()}, {1, RandomPurpose::kShuffle, 0}, stream()),
      std::invalid_argument);
  EXPECT_THROW(gather_values(out.view(), out.const_view(), values.const_view(), 1, stream()),
               std::invalid_argument);
  const Guarded<uint32_t> order(std::vector<uint32_t>(4));
  EXPECT_THROW(gather_values(out.view(), out.const_view(), order.const_view(), 0, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::shuffle_test
