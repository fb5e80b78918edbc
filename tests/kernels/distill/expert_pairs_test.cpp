#include "kernels/distill/expert_pairs.h"

#include "tests/kernels/distill/mixture.h"

namespace derrd::test::expert_pairs_test {
namespace {

TEST(ExpertPairs, CountsThePairsOfTheActiveEntities) {
  for (const auto& [active, experts] :
       std::vector<std::pair<int32_t, int64_t>>{{0, 7}, {1, 7}, {33, 7}, {40, 7}, {33, 70}}) {
    std::vector<float> weights(static_cast<size_t>(40 * experts));
    PairCount expected = {5, 8};  // it accumulates
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = i % 3 == 0 ? 0.0f : 0.25f;
      if (i < static_cast<size_t>(active * experts)) {
        ++expected.all;
        expected.active += i % 3 != 0;
      }
    }
    const Guarded<float> selection(weights);
    const Guarded<int32_t> count{active};
    const Guarded<PairCount> pairs{PairCount{5, 8}};
    count_pairs(pairs.data(), selection.matrix(40, experts), count.data(), stream());
    EXPECT_EQ(pairs.host()[0].active, expected.active) << active;
    EXPECT_EQ(pairs.host()[0].all, expected.all) << active;
  }
}

TEST(ExpertPairs, ThePairListIsSortedByExpertAndEntity) {
  const Mixture mixture({5, 2, 3, 4, 70}, 66, 0.3);
  mixture.step(ExpertPath::kRouted);
  const ExpertPairs pairs = mixture.call(ExpertPath::kRouted).workspace.pairs;
  const std::vector<int32_t> integers = mixture.integers.host();
  const auto at = [&](Vector<int32_t> part, int64_t i) {
    return integers[static_cast<size_t>(part.data - mixture.integers.data() + i)];
  };
  const std::vector<float> s = mixture.selection.host();
  int32_t pair = 0;
  for (int32_t m = 0; m < 5; ++m) {
    EXPECT_EQ(at(pairs.offsets, m), pair);
    for (int32_t n = 0; n < 66; ++n) {
      const bool active = s[static_cast<size_t>(n * 5 + m)] != 0;
      EXPECT_EQ(at(pairs.of.flat(), m * 70 + n), active ? pair : -1);
      if (!active) continue;
      EXPECT_EQ(at(pairs.entity, pair), n);
      EXPECT_EQ(at(pairs.expert, pair), m);
      ++pair;
    }
  }
  EXPECT_EQ(at(pairs.offsets, 5), pair);
}

}  // namespace
}  // namespace derrd::test::expert_pairs_test
