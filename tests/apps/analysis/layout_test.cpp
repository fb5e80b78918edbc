#include "apps/analysis/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "tests/apps/analysis/blobs.h"
#include "tests/random_values.h"

namespace derrd::test::layout_test {
namespace {

double squares_between(const Place& a, const Place& b) {
  return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

// Mean distance of the places from their mean, which is the origin.
double spread_of(const std::vector<Place>& places) {
  double sum = 0;
  for (const Place& place : places) sum += std::hypot(place[0], place[1]);
  return sum / static_cast<double>(places.size());
}

double share_whose_nearest_has_their_label(const std::vector<Place>& places,
                                           const std::vector<int32_t>& labels) {
  size_t same = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    size_t nearest = i == 0 ? 1 : 0;
    for (size_t j = 0; j < places.size(); ++j) {
      if (j == i) continue;
      if (squares_between(places[i], places[j]) < squares_between(places[i], places[nearest])) {
        nearest = j;
      }
    }
    same += labels[i] == labels[nearest] ? 1 : 0;
  }
  return static_cast<double>(same) / static_cast<double>(places.size());
}

using Square = std::vector<std::vector<double>>;

// Probabilities of pairs, [points, points], by the paper's formulas in plain loops.
Square pair_probabilities(const Points& points, double perplexity) {
  const size_t n = points.size();
  Square conditional(n, std::vector<double>(n)), joint = conditional;
  for (size_t i = 0; i < n; ++i) {
    const auto entropy_at = [&](double precision) {
      double sum = 0, entropy = 0;
      for (size_t j = 0; j < n; ++j) {
        double squares = 0;
        for (size_t d = 0; d < points.dimensions(); ++d) {
          squares += std::pow(double{points[i][d]} - double{points[j][d]}, 2);
        }
        conditional[i][j] = j == i ? 0 : std::exp(-precision * squares);
        sum += conditional[i][j];
      }
      for (double& p : conditional[i]) {
        p /= sum;
        if (p > 0) entropy -= p * std::log(p);
      }
      return entropy;
    };
    double low = 0, high = 100;
    for (int step = 0; step < 100; ++step) {
      const double middle = (low + high) / 2;
      (entropy_at(middle) > std::log(perplexity) ? low : high) = middle;
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      joint[i][j] = (conditional[i][j] + conditional[j][i]) / (2 * static_cast<double>(n));
    }
  }
  return joint;
}

// Largest gradient of the divergence of the map from the probabilities, in units of the largest
// pull between a point and another one.
double relative_gradient(const Square& p, const std::vector<Place>& places) {
  const size_t n = places.size();
  Square q(n, std::vector<double>(n));
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (i != j) sum += q[i][j] = 1 / (1 + squares_between(places[i], places[j]));
    }
  }
  double largest = 0, pull = 0;
  for (size_t i = 0; i < n; ++i) {
    Place gradient = {};
    for (size_t j = 0; j < n; ++j) {
      for (size_t c = 0; c < 2; ++c) {
        const double difference = places[i][c] - places[j][c];
        gradient[c] += (p[i][j] - q[i][j] / sum) * q[i][j] * difference;
        pull = std::max(pull, p[i][j] * q[i][j] * std::abs(difference));
      }
    }
    largest = std::max(largest, std::hypot(gradient[0], gradient[1]));
  }
  return largest / pull;
}

// The descent has come to rest where the oracle's gradient is zero. The perplexity is matched
// within 1e-5 of its logarithm.
TEST(Layout, MatchesOracle) {
  for (const auto& [n, dimensions, perplexity] :
       std::vector<std::tuple<int64_t, int64_t, double>>{{150, 9, 30}, {61, 5, 20}, {31, 3, 10}}) {
    const std::vector<float> values = random_normal(n * dimensions, 1);
    const Points points(values, dimensions);
    const Square p = pair_probabilities(points, perplexity);
    EXPECT_LT(relative_gradient(p, layout(points)), 1e-3) << n;
  }
}

TEST(Layout, KeepsBlobsApart) {
  const Blobs blobs(6, 300, 20, 3);
  const std::vector<Place> places = layout(blobs.points());
  EXPECT_GT(share_whose_nearest_has_their_label(places, blobs.labels), .95);
}

TEST(Layout, AcceptsFewPoints) {
  EXPECT_TRUE(layout(Points({}, 3)).empty());
  EXPECT_EQ(layout(Points(std::vector<float>{1, 2, 3}, 3)), std::vector<Place>(1, Place{0, 0}));
  for (const int64_t dimensions : {1, 2, 5}) {
    for (int64_t n = 2; n < 20; ++n) {
      const std::vector<float> values = random_normal(n * dimensions, static_cast<uint64_t>(n));
      const std::vector<Place> places = layout(Points(values, dimensions));
      ASSERT_EQ(places.size(), static_cast<size_t>(n));
      Place mean = {0, 0};
      for (const Place& place : places) {
        ASSERT_TRUE(std::isfinite(place[0]) && std::isfinite(place[1])) << n;
        for (size_t c = 0; c < 2; ++c) mean[c] += place[c] / static_cast<double>(n);
      }
      const double spread = spread_of(places);
      EXPECT_GT(spread, 0);
      EXPECT_LT(spread, 1e6) << n << " points of " << dimensions;
      EXPECT_LT(std::hypot(mean[0], mean[1]), 1e-10 * spread);
    }
  }
}

TEST(Layout, AcceptsEqualPoints) {
  EXPECT_EQ(layout(Points(std::vector<float>(24, .3f), 3)), std::vector<Place>(8, Place{0, 0}));
  // More equal points than the perplexity, which no width then gives.
  std::vector<float> values(2 * 45, 1);
  values.resize(2 * 90, 2);
  std::vector<int32_t> labels(45, 1);
  labels.resize(90, 2);
  EXPECT_EQ(share_whose_nearest_has_their_label(layout(Points(values, 2)), labels), 1);
}

// From far away all others are about equally far.
TEST(Layout, AcceptsAPointFarFromTheOthers) {
  std::vector<float> values = random_normal(40 * 3, 9);
  values[0] = 1e4f;
  const std::vector<Place> places = layout(Points(values, 3));
  EXPECT_TRUE(std::ranges::all_of(places, [](const Place& place) {
    return std::isfinite(place[0]) && std::isfinite(place[1]);
  }));
}

TEST(Layout, KeepsPointsOnALine) {
  const std::vector<float> values = random_normal(50, 6);
  for (const Place& place : layout(Points(values, 1))) EXPECT_EQ(place[1], 0);
}

// A power of two, which changes no rounding.
TEST(Layout, DoesNotDependOnTheScale) {
  std::vector<float> values = random_normal(100 * 5, 7);
  const std::vector<Place> places = layout(Points(values, 5));
  for (float& v : values) v *= 0x1p-60f;
  EXPECT_EQ(layout(Points(values, 5)), places);
  for (float& v : values) v *= 0x1p90f;
  EXPECT_EQ(layout(Points(values, 5)), places);
}

TEST(Layout, SameBitsTwice) {
  const std::vector<float> values = random_normal(70 * 6, 8);
  EXPECT_EQ(layout(Points(values, 6)), layout(Points(values, 6)));
}

}  // namespace
}  // namespace derrd::test::layout_test
