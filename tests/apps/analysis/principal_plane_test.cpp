#include "apps/analysis/principal_plane.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/random_values.h"

namespace derrd::test::principal_plane_test {
namespace {

constexpr double kTolerance = 1e-6;  // the coordinates are rounded to float

// Six points on three orthogonal axes, at +-30, +-20 and +-10 from (100, 0, 0).
TEST(PrincipalPlane, IsKnownAxes) {
  const std::vector<double> first = {2. / 3, 2. / 3, 1. / 3}, second = {-2. / 3, 1. / 3, 2. / 3},
                            third = {1. / 3, -2. / 3, 2. / 3};
  std::vector<float> values;
  const auto add = [&](const std::vector<double>& axis, double at) {
    for (size_t j = 0; j < 3; ++j) {
      values.push_back(static_cast<float>(at * axis[j] + (j == 0 ? 100 : 0)));
    }
  };
  add(first, 30), add(first, -30), add(second, 20), add(second, -20), add(third, 10);
  add(third, -10);
  const std::vector<Place> places = principal_plane(Points(values, 3));
  // The second axis has two largest entries, -2/3 and 2/3, so that either sign may come out.
  const double sign = places[2][1] > 0 ? 1 : -1;
  const std::vector<Place> expected = {{30, 0},         {-30, 0}, {0, 20 * sign},
                                       {0, -20 * sign}, {0, 0},   {0, 0}};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(places[i][0], expected[i][0], 30 * kTolerance) << i;
    EXPECT_NEAR(places[i][1], expected[i][1], 30 * kTolerance) << i;
  }
}

// Coordinates y along a component v are X v, and X^T y is v times the component's eigenvalue.
TEST(PrincipalPlane, IsOfEigenvectors) {
  constexpr int64_t kDimensions = 21, kPoints = 100;
  std::vector<float> values = random_normal(kDimensions * kPoints, 1);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] *= i % kDimensions == 4 ? 5.0f : i % kDimensions == 17 ? 3.0f : 1.0f;
  }
  const Points points(values, kDimensions);
  const std::vector<Place> places = principal_plane(points);
  for (size_t a = 0; a < 2; ++a) {
    std::vector<double> component(kDimensions);
    double squares = 0, largest = 0;
    for (size_t i = 0; i < kPoints; ++i) {
      squares += places[i][a] * places[i][a];
      for (size_t j = 0; j < kDimensions; ++j) component[j] += places[i][a] * points[i][j];
    }
    double length = 0;
    for (double& v : component) {
      v /= squares;
      length += v * v;
      if (std::abs(v) > std::abs(largest)) largest = v;
    }
    EXPECT_NEAR(length, 1, 1e-9);
    EXPECT_EQ(largest, component[a == 0 ? 4 : 17]);
    EXPECT_GT(largest, 0);  // the sign
    double mean = 0;
    for (const Place& place : places) mean += place[a] / kPoints;
    EXPECT_NEAR(mean, 0, 1e-12);
    const auto along = [&](size_t i) {
      double sum = 0;
      for (size_t j = 0; j < kDimensions; ++j) sum += component[j] * points[i][j];
      return sum;
    };
    for (size_t i = 1; i < kPoints; ++i) {
      ASSERT_NEAR(places[i][a] - places[0][a], along(i) - along(0), 1e-8) << i;
    }
  }
}

TEST(PrincipalPlane, AxisPointsToItsLargestEntry) {
  const std::vector<float> values = {1, -3, -1, 3};
  const std::vector<Place> places = principal_plane(Points(values, 2));
  EXPECT_NEAR(places[0][0], -std::sqrt(10), kTolerance);
  EXPECT_NEAR(places[1][0], std::sqrt(10), kTolerance);
}

TEST(PrincipalPlane, IsZeroWithoutVariance) {
  const std::vector<float> line = {1, 2, 3, 2, 4, 6, 7, 14, 21};
  for (const Place& place : principal_plane(Points(line, 3))) EXPECT_EQ(place[1], 0);
  for (const Place& place : principal_plane(Points(line, 1))) EXPECT_EQ(place[1], 0);
  EXPECT_EQ(principal_plane(Points(std::vector<float>(12, .3f), 3)),
            std::vector<Place>(4, Place{0, 0}));
  EXPECT_EQ(principal_plane(Points(line, 9)), std::vector<Place>(1, Place{0, 0}));
  EXPECT_TRUE(principal_plane(Points({}, 3)).empty());
}

TEST(PrincipalPlane, SameBitsTwice) {
  const std::vector<float> values = random_normal(500, 2);
  EXPECT_EQ(principal_plane(Points(values, 10)), principal_plane(Points(values, 10)));
}

}  // namespace
}  // namespace derrd::test::principal_plane_test
