#pragma once

#include <cstdint>
#include <vector>

#include "apps/analysis/points.h"

namespace derrd {

/// Number of starts of k-means; the best one counts. As in the paper's time's scikit-learn.
inline constexpr int kKMeansStarts = 10;
/// Most iterations of a start; scikit-learn's too.
inline constexpr int kKMeansIterations = 300;

/// Clusters of points.
struct Clusters {
  std::vector<int32_t> labels;  ///< cluster of each point, 0..count-1
  int32_t count = 0;            ///< number of clusters, none of which is empty
  double inertia = 0;  ///< sum of the points' squared distances from the means of their clusters
  int iterations = 0;  ///< less than kKMeansIterations if the labels settled
};

/// Groups points into k clusters by k-means: start by k-means++ (Arthur, Vassilvitskii, SODA'07),
/// then Lloyd's iterations until no label changes. All sums are in double, in a fixed order: the
/// same input and seed give the same bits. Of points that differ in less than k places there are
/// as many clusters as places. A cluster that an iteration leaves without points gets the point
/// that is farthest from the centre of its cluster, as in scikit-learn.
/// @throws std::invalid_argument if k < 1
Clusters kmeans(const Points& points, int32_t k, uint64_t seed);

}  // namespace derrd
