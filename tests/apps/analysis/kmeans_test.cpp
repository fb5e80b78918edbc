#include "apps/analysis/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "apps/analysis/agreement.h"
#include "data/random.h"
#include "tests/apps/analysis/blobs.h"
#include "tests/random_values.h"

namespace derrd::test::kmeans_test {
namespace {

// Both sides sum some hundred squares in double.
constexpr double kTolerance = 1e-12;

std::vector<std::vector<double>> means_of(const Points& points, std::span<const int32_t> labels,
                                          int32_t count) {
  std::vector<std::vector<double>> means(static_cast<size_t>(count),
                                         std::vector<double>(points.dimensions()));
  for (size_t c = 0; c < means.size(); ++c) {
    double size = 0;
    for (size_t i = 0; i < points.size(); ++i) {
      if (labels[i] != static_cast<int32_t>(c)) continue;
      ++size;
      for (size_t j = 0; j < points.dimensions(); ++j) means[c][j] += points[i][j];
    }
    for (double& m : means[c]) m /= size;
  }
  return means;
}

double squares_between(std::span<const float> point, const std::vector<double>& mean) {
  double sum = 0;
  for (size_t j = 0; j < mean.size(); ++j) sum += (point[j] - mean[j]) * (point[j] - mean[j]);
  return sum;
}

double inertia_of(const Points& points, std::span<const int32_t> labels, int32_t count) {
  const auto means = means_of(points, labels, count);
  double sum = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    sum += squares_between(points[i], means[static_cast<size_t>(labels[i])]);
  }
  return sum;
}

// What holds for every result whose labels settled: each point is nearest to the mean of its
// cluster, no cluster is empty, and the inertia is that of the labels.
void expect_settled(const Points& points, const Clusters& clusters) {
  ASSERT_EQ(clusters.labels.size(), points.size());
  EXPECT_LT(clusters.iterations, kKMeansIterations);
  for (int32_t c = 0; c < clusters.count; ++c) {
    ASSERT_GT(std::ranges::count(clusters.labels, c), 0) << "of cluster " << c;
  }
  const auto means = means_of(points, clusters.labels, clusters.count);
  for (size_t i = 0; i < points.size(); ++i) {
    ASSERT_GE(clusters.labels[i], 0);
    ASSERT_LT(clusters.labels[i], clusters.count);
    const double own = squares_between(points[i], means[static_cast<size_t>(clusters.labels[i])]);
    for (const auto& mean : means) {
      ASSERT_LE(own, squares_between(points[i], mean) * (1 + kTolerance) + kTolerance) << i;
    }
  }
  const double inertia = inertia_of(points, clusters.labels, clusters.count);
  EXPECT_NEAR(clusters.inertia, inertia, kTolerance * (1 + inertia));
}

// Draws centres in proportion to the squared distances from those before, by plain loops.
std::vector<std::vector<double>> draw_centers(const Points& points, size_t k,
                                              RandomStream& random) {
  std::vector<std::vector<double>> centers;
  std::vector<double> weights(points.size(), 1);
  while (centers.size() < k) {
    double rest = random.uniform() * std::accumulate(weights.begin(), weights.end(), 0.0);
    size_t drawn = 0;
    while (rest >= weights[drawn]) rest -= weights[drawn++];
    centers.emplace_back(points[drawn].begin(), points[drawn].end());
    for (size_t i = 0; i < points.size(); ++i) {
      weights[i] = std::numeric_limits<double>::infinity();
      for (const auto& center : centers) {
        weights[i] = std::min(weights[i], squares_between(points[i], center));
      }
    }
  }
  return centers;
}

// Gives the empty clusters, in order, the point farthest from its centre that is not alone.
void fill_empty(std::vector<int32_t>& labels, const Points& points,
                const std::vector<std::vector<double>>& centers) {
  for (int32_t empty = 0; empty < static_cast<int32_t>(centers.size()); ++empty) {
    if (std::ranges::count(labels, empty) > 0) continue;
    const auto distance = [&](size_t i) {
      const bool alone = std::ranges::count(labels, labels[i]) == 1;
      return alone ? -1 : squares_between(points[i], centers[static_cast<size_t>(labels[i])]);
    };
    size_t farthest = 0;
    for (size_t i = 1; i < labels.size(); ++i) {
      if (distance(i) > distance(farthest)) farthest = i;
    }
    labels[farthest] = empty;
  }
}

std::vector<int32_t> plain_kmeans(const Points& points, int32_t k, uint64_t seed) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<int32_t> best;
  for (uint64_t start = 0; start < 10; ++start) {
    RandomStream random(seed, kKMeansStream, start);
    auto centers = draw_centers(points, static_cast<size_t>(k), random);
    std::vector<int32_t> labels(points.size(), -1), before;
    while (labels != before) {
      before = labels;
      for (size_t i = 0; i < points.size(); ++i) {
        const auto nearest = std::ranges::min_element(
            centers, {}, [&](const auto& center) { return squares_between(points[i], center); });
        labels[i] = static_cast<int32_t>(nearest - centers.begin());
      }
      fill_empty(labels, points, centers);
      centers = means_of(points, labels, k);
    }
    const double inertia = inertia_of(points, labels, k);
    if (inertia >= least) continue;
    least = inertia;
    best = labels;
  }
  return best;
}

TEST(KMeans, MatchesOracle) {
  const std::vector<float> values = random_normal(90 * 3, 2);
  const Points points(values, 3);
  for (const int32_t k : {2, 8, 11}) {
    EXPECT_EQ(kmeans(points, k, 7).labels, plain_kmeans(points, k, 7)) << k;
  }
}

TEST(KMeans, FindsSeparatedBlobs) {
  const Blobs blobs(5, 203, 11, 1);
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Clusters clusters = kmeans(blobs.points(), 5, seed);
    EXPECT_EQ(clusters.count, 5);
    EXPECT_NEAR(normalized_mutual_information(clusters.labels, blobs.labels), 1, kTolerance);
    expect_settled(blobs.points(), clusters);
  }
}

// All labelings of eight points in three clumps are tried.
TEST(KMeans, FindsTheBestOfAllLabelings) {
  constexpr int32_t kClusters = 3;
  constexpr size_t kPoints = 8, kLabelings = 6561;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> values = random_normal(2 * kPoints, seed);
    for (size_t i = 0; i < kPoints; ++i) values[2 * i] += static_cast<float>(3 * (i % kClusters));
    const Points points(values, 2);
    double least = std::numeric_limits<double>::infinity();
    for (size_t labeling = 0; labeling < kLabelings; ++labeling) {
      std::vector<int32_t> labels(kPoints);
      size_t rest = labeling;
      for (int32_t& label : labels) {
        label = static_cast<int32_t>(rest % kClusters);
        rest /= kClusters;
      }
      const double inertia = inertia_of(points, labels, kClusters);
      if (inertia < least) least = inertia;  // not if a cluster is empty, whose mean is NaN
    }
    EXPECT_NEAR(kmeans(points, kClusters, seed).inertia, least, kTolerance) << seed;
  }
}

TEST(KMeans, SettlesOnEdgeShapes) {
  for (const int64_t dimensions : {1, 7, 8, 9, 20}) {
    for (const int64_t n : {1, 3, 4, 5, 130}) {
      const std::vector<float> values =
          random_normal(n * dimensions, static_cast<uint64_t>(n * dimensions));
      const Points points(values, dimensions);
      for (const int32_t k : {1, 2, 7, 8, 9, 17}) {
        const Clusters clusters = kmeans(points, k, 3);
        EXPECT_EQ(clusters.count, std::min<int64_t>(k, n));
        expect_settled(points, clusters);
      }
    }
  }
}

// In some of these sets an iteration leaves a cluster without points.
TEST(KMeans, FillsEmptyClusters) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const std::vector<float> values = random_normal(14, seed);
    const Points points(values, 1);
    const Clusters clusters = kmeans(points, 5, seed);
    expect_settled(points, clusters);
    ASSERT_EQ(clusters.labels, plain_kmeans(points, 5, seed)) << seed;
  }
}

TEST(KMeans, HasAsManyClustersAsPlaces) {
  const std::vector<float> values = {1, 1, 5, 5, 1, 1, 1, 1, 5, 5};
  const Clusters clusters = kmeans(Points(values, 2), 4, 0);
  EXPECT_EQ(clusters.count, 2);
  EXPECT_EQ(clusters.inertia, 0);
  EXPECT_EQ(clusters.labels[0], 1 - clusters.labels[1]);
  EXPECT_EQ(purity(clusters.labels, std::vector<int32_t>{0, 1, 0, 0, 1}), 1);
  EXPECT_EQ(kmeans(Points(std::vector<float>(12, 3.0f), 2), 4, 0).labels,
            std::vector<int32_t>(6, 0));
}

TEST(KMeans, AcceptsEmptyInput) {
  const Clusters clusters = kmeans(Points({}, 3), 4, 0);
  EXPECT_EQ(clusters.count, 0);
  EXPECT_TRUE(clusters.labels.empty());
  EXPECT_EQ(clusters.inertia, 0);
}

TEST(KMeans, RejectsBadShapes) { EXPECT_THROW(kmeans(Points({}, 3), 0, 0), std::invalid_argument); }

TEST(KMeans, SameBitsTwice) {
  const std::vector<float> values = random_normal(300 * 10, 4);
  const Clusters first = kmeans(Points(values, 10), 9, 5),
                 second = kmeans(Points(values, 10), 9, 5);
  EXPECT_EQ(first.labels, second.labels);
  EXPECT_EQ(first.inertia, second.inertia);
  EXPECT_NE(kmeans(Points(values, 10), 9, 6).labels, first.labels);
}

}  // namespace
}  // namespace derrd::test::kmeans_test
