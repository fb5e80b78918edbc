// The tests' own tools have to fail where they should.

#include "tests/kernels/support.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/finite_differences.h"

namespace derrd::test::support_test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool is_close(const std::vector<float>& actual, const std::vector<double>& expected,
              double absolute, double relative) {
  return static_cast<bool>(close(actual, expected, absolute, relative));
}

TEST(SupportTest, CloseHoldsItsBounds) {
  EXPECT_TRUE(is_close({}, {}, 0, 0));
  EXPECT_TRUE(is_close({1, -2, 0}, {1, -2, 0}, 0, 0));
  EXPECT_TRUE(is_close({1.25f}, {1}, 0.25, 0));
  EXPECT_FALSE(is_close({1.25f}, {1}, 0.24, 0));
  EXPECT_FALSE(is_close({0.75f}, {1}, 0.24, 0));
  EXPECT_TRUE(is_close({5}, {4}, 0, 0.25));
  EXPECT_FALSE(is_close({5}, {4}, 0, 0.24));
  EXPECT_FALSE(is_close({1.0f}, {std::nextafter(1.0, 2.0)}, 0, 0));
}

TEST(SupportTest, CloseTakesTheMagnitudeOfNegativeExpectations) {
  EXPECT_TRUE(is_close({-5}, {-4}, 0, 0.25));
  EXPECT_FALSE(is_close({-5}, {-4}, 0, 0.24));
  EXPECT_FALSE(is_close({-3}, {3}, 0, 1));
}

TEST(SupportTest, CloseNeverPassesNan) {
  EXPECT_FALSE(is_close({kNan}, {0}, 1e9, 1e9));
  EXPECT_FALSE(is_close({0}, {std::numeric_limits<double>::quiet_NaN()}, 1e9, 1e9));
  EXPECT_FALSE(is_close({kNan}, {std::numeric_limits<double>::quiet_NaN()}, 1, 1));
  EXPECT_FALSE(is_close({1, 2, kNan, 4}, {1, 2, 3, 4}, 1, 1));
}

TEST(SupportTest, ClosePassesInfinityForInfinityOnly) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(is_close({kInfinity, -kInfinity}, {kInfinite, -kInfinite}, 1, 1));
  EXPECT_FALSE(is_close({kInfinity}, {-kInfinite}, 1, 1));
  EXPECT_FALSE(is_close({kInfinity}, {3e38}, 1, 1));
  EXPECT_FALSE(is_close({3e38f}, {kInfinite}, 1, 1));
}

TEST(SupportTest, CloseComparesSizes) {
  EXPECT_FALSE(is_close({1}, {1, 2}, 1, 1));
  EXPECT_FALSE(is_close({1, 2}, {1}, 1, 1));
}

TEST(SupportTest, CloseSaysTheWorstElementWithItsSign) {
  const std::vector<float> actual = {1, 2, 2.5f, 4};
  const std::vector<double> expected = {1, 2.25, 3, 4};
  const std::string message = close(actual, expected, 0.125, 0).message();
  EXPECT_NE(message.find("element 2 of 4: 2.5, expected 3, error -0.5"), std::string::npos)
      << message;
}

/// Writes element i of three numbers, or beyond them.
void write_element(int64_t i) {
  const Guarded<int32_t> buffer({1, 2, 3});
  const int32_t number = 5;
  copy_to_device(buffer.data() + i, &number, sizeof number, stream());
}

TEST(SupportTest, GuardedFailsIfSomeoneWritesOutside) {
  write_element(0);
  write_element(2);
  EXPECT_NONFATAL_FAILURE(write_element(-1), "byte -4 relative to the first element, of 12");
  EXPECT_NONFATAL_FAILURE(write_element(3), "byte 12 relative to the first element, of 12");
}

TEST(SupportTest, GuardedStartsWithAPattern) {
  const Guarded<float> untouched(2);
  for (const float v : untouched.host()) EXPECT_LT(v, -1e38f);
  EXPECT_TRUE(Guarded<float>(0).host().empty());
}

TEST(SupportTest, FiniteDifferencesAreTheDerivatives) {
  const std::vector<double> start = {3, -2};
  std::vector<double> x = start;
  const std::vector<double> derivatives =
      finite_differences(x, [&] { return x[0] * x[0] * x[1] + std::exp(x[1]); });
  EXPECT_NEAR(derivatives[0], -12, 1e-8);
  EXPECT_NEAR(derivatives[1], 9 + std::exp(-2), 1e-8);
  EXPECT_EQ(x, start);
  EXPECT_EQ(weighted_sum(x, start), 13);
}

TEST(SupportTest, RandomDataIsRepeatable) {
  EXPECT_EQ(random_normal(10, 1), random_normal(10, 1));
  EXPECT_NE(random_normal(10, 1), random_normal(10, 2));
  for (const int32_t v : random_below(100, 7, 1)) {
    EXPECT_GE(v, 0);
    EXPECT_LT(v, 7);
  }
}

}  // namespace
}  // namespace derrd::test::support_test
