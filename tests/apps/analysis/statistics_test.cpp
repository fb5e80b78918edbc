// Means, standard errors and t-tests against SciPy 1.17:
//   from scipy import stats
//   a = [.4843, .4790, .4861, .4825, .4802]; b = [.4550, .4531, .4602, .4547, .4519]
//   stats.sem(a); stats.ttest_rel(a, b)
//   stats.ttest_rel([.1, .2], [.15, .21]); stats.ttest_rel([1, 2, 3, 4], [1.1, 1.9, 3.2, 3.7])

#include "apps/analysis/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace derrd::test::statistics_test {
namespace {

// Both sides round a few dozen operations in double, the difference of means loses two digits.
constexpr double kTolerance = 1e-11;

TEST(Statistics, MeanAndStandardErrorAreScipys) {
  const std::vector<double> values = {.4843, .4790, .4861, .4825, .4802};
  EXPECT_NEAR(mean(values), .48242, kTolerance);
  EXPECT_NEAR(standard_error(values).value(), 0.0012982295636750827, kTolerance);
  EXPECT_FALSE(standard_error(std::vector<double>{.5}));
  EXPECT_EQ(standard_error(std::vector<double>{.5, .5}).value(), 0);
}

TEST(Statistics, PairedTestIsScipys) {
  const auto expect = [](const std::vector<double>& a, const std::vector<double>& b, double t,
                         double p) {
    const PairedTest test = paired_t_test(a, b).value();
    EXPECT_NEAR(test.t.value(), t, kTolerance * std::abs(t));
    EXPECT_NEAR(test.p.value(), p, kTolerance * p);
    const PairedTest reversed = paired_t_test(b, a).value();
    EXPECT_EQ(reversed.t, -*test.t);
    EXPECT_EQ(reversed.p, test.p);
  };
  expect({.4843, .4790, .4861, .4825, .4802}, {.4550, .4531, .4602, .4547, .4519},
         40.74249154487159, 2.1687960738048015e-06);
  expect({.1, .2}, {.15, .21}, -1.499999999999999, 0.3743340836219978);
  expect({1, 2, 3, 4}, {1.1, 1.9, 3.2, 3.7}, 0.22549380840084784, 0.8360832258079632);
}

TEST(Statistics, PairedTestOfEqualDifferencesIsUndefined) {
  const auto expect_undefined = [](const std::vector<double>& a, const std::vector<double>& b,
                                   double difference) {
    const PairedTest test = paired_t_test(a, b).value();
    EXPECT_NEAR(test.difference, difference, kTolerance);
    EXPECT_FALSE(test.t);
    EXPECT_FALSE(test.p);
  };
  expect_undefined({1, 2, 3}, {1, 2, 3}, 0);
  expect_undefined({1, 2, 3}, {.5, 1.5, 2.5}, .5);
  expect_undefined({.3, .5, .7}, {.1, .3, .5}, .2);  // equal but for rounding
  EXPECT_FALSE(paired_t_test(std::vector<double>{1}, std::vector<double>{2}));
}

TEST(Statistics, AsterisksAreThePapers) {
  EXPECT_EQ(asterisks(.051), "");
  EXPECT_EQ(asterisks(.05), "*");
  EXPECT_EQ(asterisks(.0051), "*");
  EXPECT_EQ(asterisks(.005), "**");
  EXPECT_EQ(asterisks(.0005), "***");
  EXPECT_EQ(asterisks(.00005), "****");
  EXPECT_EQ(asterisks(0), "****");
}

}  // namespace
}  // namespace derrd::test::statistics_test
