#include "apps/analysis/kmeans.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include "apps/analysis/double_lanes.h"
#include "data/random.h"

namespace derrd {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Centres of clusters, row-major.
struct Centers {
  std::vector<double> values;  ///< [count, dimensions]
  size_t dimensions;

  size_t count() const { return values.size() / dimensions; }
  std::span<double> operator[](size_t c) {
    return std::span(values).subspan(c * dimensions, dimensions);
  }
  std::span<const double> operator[](size_t c) const {
    return std::span(values).subspan(c * dimensions, dimensions);
  }
};

/// Returns the first point at which the running sum of the weights passes `part` of their total.
/// Never one without weight.
size_t draw_by_weight(std::span<const double> weights, double part) {
  double total = 0;
  for (const double weight : weights) total += weight;
  double sum = 0;
  size_t drawn = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    drawn = i;
    sum += weights[i];
    if (sum > part * total) break;
  }
  return drawn;
}

/// Draws centres by k-means++: each is a point, drawn in proportion to its squared distance from
/// the centres before it; the first one uniformly. Fewer than k where no point is left elsewhere.
Centers draw_centers(const Points& points, size_t k, RandomStream& random) {
  Centers centers{{}, points.dimensions()};
  std::vector<double> distances(points.size(), 1);
  while (centers.count() < k) {
    if (std::ranges::all_of(distances, [](double d) { return d == 0; })) break;
    const std::span<const float> center = points[draw_by_weight(distances, random.uniform())];
    const bool first = centers.values.empty();
    centers.values.insert(centers.values.end(), center.begin(), center.end());
    for (size_t i = 0; i < points.size(); ++i) {
      const double distance = squared_distance(points[i], center);
      distances[i] = first ? distance : std::min(distances[i], distance);
    }
  }
  return centers;
}

/// Finds the nearest centre of each point: that with the least |c|^2 - 2 x.c, which in double is
/// exact enough for points of float. A tile of points meets kLanes centres at a time, whose inner
/// products stay in registers.
class NearestCenter {
 public:
  static constexpr size_t kTile = 4;

  explicit NearestCenter(const Centers& centers)
      : dimensions_(centers.dimensions), blocks_((centers.count() + kLanes - 1) / kLanes) {
    packed_.resize(blocks_ * dimensions_ * kLanes);
    norms_.assign(blocks_ * kLanes, kInfinity);
    for (size_t c = 0; c < centers.count(); ++c) {
      const std::span<const double> center = centers[c];
      norms_[c] = inner_product(center, center);
      double* lane = &packed_[c / kLanes * dimensions_ * kLanes + c % kLanes];
      for (size_t j = 0; j < dimensions_; ++j) lane[j * kLanes] = center[j];
    }
  }

  /// @param tile [dimensions, kTile]
  std::array<int32_t, kTile> operator()(std::span<const double> tile) const {
    std::array<int32_t, kTile> nearest = {};
    std::array<double, kTile> least;
    least.fill(kInfinity);
    for (size_t b = 0; b < blocks_; ++b) {
      const Products products = multiply(tile.data(), &packed_[b * dimensions_ * kLanes]);
      for (size_t t = 0; t < kTile; ++t) {
        for (size_t l = 0; l < kLanes; ++l) {
          const double distance = norms_[b * kLanes + l] - 2 * products[t][l];
          if (distance >= least[t]) continue;
          least[t] = distance;
          nearest[t] = static_cast<int32_t>(b * kLanes + l);
        }
      }
    }
    return nearest;
  }

 private:
  static constexpr size_t kLanes = kDoubleLanes;
  using Products = std::array<DoubleLanes, kTile>;

  Products multiply(const double* tile, const double* block) const {
    Products sums = {};
    for (size_t j = 0; j < dimensions_; ++j) {
      const DoubleLanes lanes = load_lanes(block + j * kLanes);
      for (size_t t = 0; t < kTile; ++t) sums[t] += tile[j * kTile + t] * lanes;
    }
    return sums;
  }

  size_t dimensions_, blocks_;
  std::vector<double> packed_;  ///< [blocks, dimensions, kLanes]
  std::vector<double> norms_;   ///< [blocks, kLanes], infinite where there is no centre
};

/// Gives each point the label of its nearest centre. Returns whether a label changed.
bool assign_labels(std::span<int32_t> labels, const Points& points, const Centers& centers) {
  constexpr size_t kTile = NearestCenter::kTile;
  const NearestCenter nearest_center(centers);
  std::vector<double> tile(points.dimensions() * kTile);
  bool changed = false;
  for (size_t first = 0; first < points.size(); first += kTile) {
    const size_t count = std::min(kTile, points.size() - first);
    for (size_t t = 0; t < count; ++t) {
      const std::span<const float> point = points[first + t];
      for (size_t j = 0; j < point.size(); ++j) tile[j * kTile + t] = point[j];
    }
    const auto nearest = nearest_center(tile);
    for (size_t t = 0; t < count; ++t) {
      changed |= labels[first + t] != nearest[t];
      labels[first + t] = nearest[t];
    }
  }
  return changed;
}

/// Gives each empty cluster the point that is farthest from its centre, of clusters with more
/// points than one.
void fill_empty_clusters(std::span<int32_t> labels, const Points& points, const Centers& centers) {
  std::vector<size_t> sizes(centers.count());
  for (const int32_t label : labels) ++sizes[static_cast<size_t>(label)];
  for (size_t empty = 0; empty < sizes.size(); ++empty) {
    if (sizes[empty] != 0) continue;
    size_t farthest = 0;
    double most = -1;
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto label = static_cast<size_t>(labels[i]);
      const double distance = squared_distance(points[i], centers[label]);
      if (sizes[label] < 2 || distance <= most) continue;
      farthest = i;
      most = distance;
    }
    --sizes[static_cast<size_t>(labels[farthest])];
    ++sizes[empty];
    labels[farthest] = static_cast<int32_t>(empty);
  }
}

/// Moves each centre to the mean of its points, of which it has at least one.
void move_to_means(Centers& centers, const Points& points, std::span<const int32_t> labels) {
  std::ranges::fill(centers.values, 0.0);
  std::vector<double> sizes(centers.count());
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<size_t>(labels[i]);
    const std::span<const float> point = points[i];
    const std::span<double> center = centers[label];
    for (size_t j = 0; j < point.size(); ++j) center[j] += point[j];
    ++sizes[label];
  }
  for (size_t c = 0; c < sizes.size(); ++c) {
    for (double& coordinate : centers[c]) coordinate /= sizes[c];
  }
}

double sum_of_squares(const Points& points, std::span<const int32_t> labels,
                      const Centers& centers) {
  double sum = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    sum += squared_distance(points[i], centers[static_cast<size_t>(labels[i])]);
  }
  return sum;
}

/// Runs k-means from these centres.
Clusters iterate(const Points& points, Centers centers) {
  Clusters clusters;
  clusters.labels.assign(points.size(), -1);
  clusters.count = static_cast<int32_t>(centers.count());
  while (clusters.iterations < kKMeansIterations) {
    ++clusters.iterations;
    if (!assign_labels(clusters.labels, points, centers)) break;
    fill_empty_clusters(clusters.labels, points, centers);
    move_to_means(centers, points, clusters.labels);
  }
  clusters.inertia = sum_of_squares(points, clusters.labels, centers);
  return clusters;
}

}  // namespace

Clusters kmeans(const Points& points, int32_t k, uint64_t seed) {
  if (k < 1) throw std::invalid_argument("k-means takes one cluster or more");
  Clusters best;
  for (int start = 0; start < kKMeansStarts; ++start) {
    RandomStream random(seed, kKMeansStream, static_cast<uint64_t>(start));
    Clusters clusters = iterate(points, draw_centers(points, static_cast<size_t>(k), random));
    if (start == 0 || clusters.inertia < best.inertia) best = std::move(clusters);
  }
  return best;
}

}  // namespace derrd
