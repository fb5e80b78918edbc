#include "kernels/distill/expert_pairs.h"

#include "tests/kernels/distill/mixture.h"

namespace derrd::test::expert_pairs_test {
namespace {

TEST(ExpertPairs, ThePairListIsSortedByExpertAndEntity) {
  const Mixture mixture({5, 2, 3, 4, 70}, 66, 0.3);
  mixture.step(ExpertPath::kRouted);
  const ExpertPairs pairs = mixture.call(ExpertPath::kRouted).workspace.pairs;
  const std::vector<int32_t> integers = mixture.integers.host();
  const std::vector<float> floats = mixture.floats.host();
  const auto at = [&](Vector<int32_t> part, int64_t i) {
    return integers[static_cast<size_t>(part.data - mixture.integers.data() + i)];
  };
  const std::vector<float> s = mixture.selection.host();
  int32_t pair = 0;
  for (int32_t m = 0; m < 5; ++m) {
    EXPECT_EQ(at(pairs.offsets, m), pair);
    for (int32_t n = 0; n < 66; ++n) {
      const bool active = s[static_cast<size_t>(n * 5 + m)] != 0;
      EXPECT_EQ(at(pairs.of.flat(), n * 5 + m), active ? pair : -1);
      if (!active) continue;
      EXPECT_EQ(at(pairs.entity, pair), n);
      EXPECT_EQ(at(pairs.expert, pair), m);
      EXPECT_EQ(floats[static_cast<size_t>(pairs.weight.data - mixture.floats.data() + pair)],
                s[static_cast<size_t>(n * 5 + m)]);
      ++pair;
    }
  }
  EXPECT_EQ(at(pairs.offsets, 5), pair);
}

}  // namespace
}  // namespace derrd::test::expert_pairs_test
