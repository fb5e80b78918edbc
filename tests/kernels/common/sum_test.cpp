#include "kernels/common/sum.h"

#include <numeric>

#include "tests/kernels/support.h"

namespace derrd::test::sum_test {
namespace {

double sum_of(const std::vector<float>& terms, double start = 0.0) {
  const Guarded<float> device_terms(terms);
  const Guarded<double> total({start});
  accumulate_sum(total.data(), device_terms.const_view(), stream());
  return total.host()[0];
}

TEST(AccumulateSum, MatchesOracle) {
  for (const int64_t n : kEdgeSizes) {
    const std::vector<float> terms = random_normal(n, 7);
    const double expected = std::accumulate(terms.begin(), terms.end(), 100.0L);
    // n additions of 2^-53 of a partial sum below 1000 each.
    EXPECT_NEAR(sum_of(terms, 100.0), expected, 257 * 1000 * 1.2e-16) << n << " terms";
  }
}

TEST(AccumulateSum, KeepsWhatAFloatTotalWouldLose) {
  std::vector<float> terms(1000, 0.25f);
  terms[0] = 0x1p24f;
  EXPECT_EQ(sum_of(terms), 0x1p24 + 999 * 0.25);
}

TEST(AccumulateSum, SameBitsTwice) {
  const std::vector<float> terms = random_normal(2000, 8);
  const double once = sum_of(terms);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sum_of(terms), once);
}

TEST(AccumulateSum, KeepsNanAndInfinity) {
  std::vector<float> terms(300, 1.0f);
  terms[257] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(sum_of(terms), std::numeric_limits<double>::infinity());
  terms[40] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(sum_of(terms)));
}

}  // namespace
}  // namespace derrd::test::sum_test
