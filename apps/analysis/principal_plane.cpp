#include "apps/analysis/principal_plane.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "data/random.h"

namespace derrd {

namespace {

/// Matrix [points, dimensions] of the differences from the mean.
std::vector<double> centered(const Points& points) {
  std::vector<double> mean(points.dimensions());
  for (size_t i = 0; i < points.size(); ++i) {
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += points[i][j];
  }
  for (double& m : mean) m /= static_cast<double>(points.size());
  std::vector<double> differences;
  differences.reserve(points.size() * mean.size());
  for (size_t i = 0; i < points.size(); ++i) {
    for (size_t j = 0; j < mean.size(); ++j) differences.push_back(points[i][j] - mean[j]);
  }
  return differences;
}

/// Sums the outer products of the rows. @return [dimensions, dimensions]
std::vector<double> scatter_of(std::span<const double> rows, size_t dimensions) {
  std::vector<double> scatter(dimensions * dimensions);
  for (; !rows.empty(); rows = rows.subspan(dimensions)) {
    for (size_t a = 0; a < dimensions; ++a) {
      for (size_t b = 0; b < dimensions; ++b) scatter[a * dimensions + b] += rows[a] * rows[b];
    }
  }
  return scatter;
}

/// Subtracts the part of v along the unit vector, or zero, `axis`, and scales the rest to length 1.
/// A rest that is nothing but rounding becomes zero.
void make_orthonormal(std::span<double> v, std::span<const double> axis) {
  const auto length = [&] { return std::sqrt(inner_product(v, v)); };
  const double before = length();
  for (int twice = 0; twice < 2; ++twice) {  // the second time removes what the first one rounded
    const double along = inner_product(v, axis);
    for (size_t j = 0; j < v.size(); ++j) v[j] -= along * axis[j];
  }
  const double rest = length();
  const double scale = rest > 1e-12 * before ? 1 / rest : 0;
  for (double& x : v) x *= scale;
}

using Axes = std::array<std::vector<double>, 2>;

/// Finds the two eigenvectors of the largest eigenvalues by orthogonal iteration.
Axes leading_eigenvectors(std::span<const double> matrix, size_t dimensions) {
  constexpr int kIterations = 1000;
  constexpr double kSettled = 1e-12;
  RandomStream random(0, kPrincipalStream, 0);
  Axes axes;
  for (auto& axis : axes) {
    for (size_t j = 0; j < dimensions; ++j) axis.push_back(random.normal());
  }
  const std::vector<double> none(dimensions);
  double change = 1;
  for (int n = 0; n < kIterations && change > kSettled; ++n) {
    Axes next;
    for (size_t a = 0; a < axes.size(); ++a) {
      for (size_t j = 0; j < dimensions; ++j) {
        next[a].push_back(
            inner_product(matrix.subspan(j * dimensions, dimensions), std::span(axes[a])));
      }
      make_orthonormal(next[a], a == 0 ? none : next[0]);
    }
    change = 0;
    for (size_t a = 0; a < axes.size(); ++a) {
      for (size_t j = 0; j < dimensions; ++j) {
        change = std::max(change, std::abs(next[a][j] - axes[a][j]));
      }
    }
    axes = next;
  }
  return axes;
}

}  // namespace

std::vector<Place> principal_plane(const Points& points) {
  const size_t dimensions = points.dimensions();
  const std::vector<double> rows = centered(points);
  Axes axes = leading_eigenvectors(scatter_of(rows, dimensions), dimensions);
  for (auto& axis : axes) {
    const double largest =
        *std::ranges::max_element(axis, {}, [](double x) { return std::abs(x); });
    if (largest >= 0) continue;
    for (double& x : axis) x = -x;
  }
  std::vector<Place> places(points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const std::span row = std::span(rows).subspan(i * dimensions, dimensions);
    for (size_t a = 0; a < axes.size(); ++a) {
      places[i][a] = inner_product(row, std::span<const double>(axes[a]));
    }
  }
  return places;
}

}  // namespace derrd
