#include "apps/analysis/layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "apps/analysis/double_lanes.h"

namespace derrd {

namespace {

constexpr double kPerplexity = 30;

/// Squared distances of a point from all points.
/// @param columns [dimensions, points]
void distances_from(std::span<double> distances, size_t point, std::span<const float> columns) {
  std::ranges::fill(distances, 0.0);
  const size_t n = distances.size();
  for (; !columns.empty(); columns = columns.subspan(n)) {
    const double x = columns[point];
    for (size_t j = 0; j < n; ++j) distances[j] += (columns[j] - x) * (columns[j] - x);
  }
}

/// Replaces squared distances of neighbours by their probabilities under a Gaussian whose width
/// gives the perplexity, within 1e-5 of its logarithm. Where so many are nearest that it cannot be
/// so low, these become equally likely.
void distances_to_probabilities(std::span<double> distances, double perplexity) {
  constexpr int kSteps = 64;
  constexpr double kTolerance = 1e-5;
  const double least = *std::ranges::min_element(distances);
  double mean = 0;
  for (double& d : distances) mean += (d -= least) / static_cast<double>(distances.size());
  const std::vector<double> excess(distances.begin(), distances.end());
  double precision = mean > 0 ? 1 / mean : 1;
  double low = 0, high = std::numeric_limits<double>::infinity();
  for (int step = 0; step < kSteps; ++step) {
    double sum = 0, weighted = 0;
    for (size_t j = 0; j < excess.size(); ++j) {
      distances[j] = std::exp(-precision * excess[j]);
      sum += distances[j];
      weighted += distances[j] * excess[j];
    }
    for (double& p : distances) p /= sum;
    const double surplus = std::log(sum) + precision * weighted / sum - std::log(perplexity);
    if (std::abs(surplus) < kTolerance) return;
    (surplus > 0 ? low : high) = precision;
    precision = std::isinf(high) ? 2 * precision : (low + high) / 2;
  }
}

/// Symmetric probabilities of pairs, in blocks of kLanes points that the forces are computed for
/// side by side.
class PairProbabilities {
 public:
  static constexpr size_t kLanes = kDoubleLanes;

  explicit PairProbabilities(const Points& points)
      : n_(points.size()), values_((n_ + kLanes - 1) / kLanes * n_ * kLanes) {
    const double perplexity = std::min(static_cast<double>(n_ - 1) / 3, kPerplexity);
    std::vector<float> columns(n_ * points.dimensions());
    for (size_t i = 0; i < n_; ++i) {
      for (size_t d = 0; d < points.dimensions(); ++d) columns[d * n_ + i] = points[i][d];
    }
    std::vector<double> row(n_);
    for (size_t i = 0; i < n_; ++i) {
      distances_from(row, i, columns);
      std::swap(row[i], row.back());
      distances_to_probabilities(std::span(row).first(n_ - 1), perplexity);
      row.back() = 0;  // of the point itself
      std::swap(row[i], row.back());
      for (size_t j = 0; j < n_; ++j) {
        const double half = row[j] / (2 * static_cast<double>(n_));
        at(i, j) += half;
        at(j, i) += half;
      }
    }
  }

  /// Probabilities of the points from block * kLanes on with each point. @return [points, kLanes]
  const double* block(size_t block) const { return &values_[block * n_ * kLanes]; }

 private:
  double& at(size_t i, size_t j) { return values_[(i / kLanes * n_ + j) * kLanes + i % kLanes]; }

  size_t n_;
  std::vector<double> values_;  ///< [blocks, points, kLanes]
};

/// Coordinates, or something for each coordinate: two arrays [blocks * kLanes] of which the
/// last block's rest is unused.
using Coordinates = std::array<std::vector<double>, 2>;

/// Computes the gradient of the Kullback-Leibler divergence of the map from the probabilities, up
/// to its factor 4, which the learning rate takes in.
void compute_gradient(Coordinates& gradient, const Coordinates& map, size_t n,
                      const PairProbabilities& probabilities, double exaggeration) {
  constexpr size_t kLanes = PairProbabilities::kLanes;
  Coordinates repulsion = map;
  double similarities = 0;
  for (size_t first = 0; first < n; first += kLanes) {
    const double* p = probabilities.block(first / kLanes);
    const DoubleLanes x = load_lanes(&map[0][first]), y = load_lanes(&map[1][first]);
    DoubleLanes attract_x = {}, attract_y = {}, repel_x = {}, repel_y = {}, sum = {};
    for (size_t j = 0; j < n; ++j) {
      const DoubleLanes dx = x - map[0][j], dy = y - map[1][j];
      const DoubleLanes similarity = 1 / (1 + dx * dx + dy * dy);
      const DoubleLanes attraction = load_lanes(p + j * kLanes) * similarity;
      const DoubleLanes repelling = similarity * similarity;
      sum += similarity;
      attract_x += attraction * dx;
      attract_y += attraction * dy;
      repel_x += repelling * dx;
      repel_y += repelling * dy;
    }
    for (size_t l = 0; l < kLanes; ++l) {
      gradient[0][first + l] = exaggeration * attract_x[l];
      gradient[1][first + l] = exaggeration * attract_y[l];
      repulsion[0][first + l] = repel_x[l];
      repulsion[1][first + l] = repel_y[l];
      if (first + l < n) similarities += sum[l] - 1;  // without the point's to itself
    }
  }
  for (size_t c = 0; c < 2; ++c) {
    for (size_t i = 0; i < n; ++i) gradient[c][i] -= repulsion[c][i] / similarities;
  }
}

/// Moves the map down the gradient, with momentum and a gain for each coordinate (Jacobs, 1988).
class Descent {
 public:
  Descent(const Coordinates& map, size_t n) : n_(n), steps_(map), gains_(map) {
    for (auto& steps : steps_) std::ranges::fill(steps, 0.0);
    for (auto& gains : gains_) std::ranges::fill(gains, 1.0);
  }

  void move(Coordinates& map, const Coordinates& gradient, double momentum) {
    constexpr double kLeastGain = .01;
    const double rate = static_cast<double>(n_) / 12;
    for (size_t c = 0; c < 2; ++c) {
      double mean = 0;
      for (size_t i = 0; i < n_; ++i) {
        double& step = steps_[c][i];
        double& gain = gains_[c][i];
        const bool onward = step * gradient[c][i] < 0;
        gain = std::max(onward ? gain + .2 : gain * .8, kLeastGain);
        step = momentum * step - rate * gain * gradient[c][i];
        map[c][i] += step;
        mean += map[c][i] / static_cast<double>(n_);
      }
      for (size_t i = 0; i < n_; ++i) map[c][i] -= mean;
    }
  }

 private:
  size_t n_;
  Coordinates steps_, gains_;
};

/// Returns the principal plane, scaled to a deviation of 1e-4 along its first axis.
Coordinates initial_map(const Points& points, size_t padded) {
  constexpr double kDeviation = 1e-4;
  const std::vector<Place> plane = principal_plane(points);
  double squares = 0;
  for (const Place& place : plane) squares += place[0] * place[0];
  const double deviation = std::sqrt(squares / static_cast<double>(plane.size()));
  Coordinates map;
  for (size_t c = 0; c < 2; ++c) {
    map[c].resize(padded);
    if (deviation == 0) continue;
    for (size_t i = 0; i < plane.size(); ++i) map[c][i] = plane[i][c] / deviation * kDeviation;
  }
  return map;
}

}  // namespace

std::vector<Place> layout(const Points& points) {
  constexpr int kIterations = 1000, kExaggerated = 100;
  constexpr double kExaggeration = 4;
  constexpr size_t kLanes = PairProbabilities::kLanes;
  const size_t n = points.size();
  std::vector<Place> places(n);
  if (n < 2) return places;
  const PairProbabilities probabilities(points);
  Coordinates map = initial_map(points, (n + kLanes - 1) / kLanes * kLanes);
  Coordinates gradient = map;
  Descent descent(map, n);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    const bool exaggerated = iteration < kExaggerated;
    compute_gradient(gradient, map, n, probabilities, exaggerated ? kExaggeration : 1);
    descent.move(map, gradient, exaggerated ? .5 : .8);
  }
  for (size_t i = 0; i < n; ++i) places[i] = {map[0][i], map[1][i]};
  return places;
}

}  // namespace derrd
