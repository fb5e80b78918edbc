#include "apps/analysis/points.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace derrd::test::points_test {
namespace {

TEST(Points, AreRows) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const Points points(values, 3);
  EXPECT_EQ(points.size(), 2u);
  EXPECT_EQ(points.dimensions(), 3u);
  EXPECT_EQ(points[0].size(), 3u);
  EXPECT_EQ(points[1][0], 4);
  EXPECT_EQ(Points({}, 3).size(), 0u);
}

TEST(Points, RejectsBadShapes) {
  const std::vector<float> values = {1, 2, 3};
  EXPECT_THROW(Points(values, 2), std::invalid_argument);
  EXPECT_THROW(Points(values, 0), std::invalid_argument);
  EXPECT_THROW(Points(values, -1), std::invalid_argument);
}

TEST(Points, RejectsNonFinite) {
  EXPECT_THROW(Points(std::vector<float>{1, NAN}, 1), std::invalid_argument);
  EXPECT_THROW(Points(std::vector<float>{1, -INFINITY}, 2), std::invalid_argument);
}

// Whole numbers, whose sums are exact.
TEST(SumOfTerms, MatchesOracle) {
  for (size_t n = 0; n < 30; ++n) {
    std::vector<float> a;
    std::vector<double> b;
    double squares = 0, products = 0;
    for (size_t j = 0; j < n; ++j) {
      a.push_back(static_cast<float>(3 * j + 1));
      b.push_back(static_cast<double>(j * j) - 20);
      squares += (a[j] - b[j]) * (a[j] - b[j]);
      products += a[j] * b[j];
    }
    EXPECT_EQ(squared_distance(std::span(a), std::span(b)), squares) << n;
    EXPECT_EQ(inner_product(std::span(a), std::span(b)), products) << n;
  }
}

}  // namespace
}  // namespace derrd::test::points_test
