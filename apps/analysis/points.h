#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace derrd {

/// Points in space: the rows of a row-major matrix [points, dimensions] that the caller keeps.
class Points {
 public:
  /// @throws std::invalid_argument unless the values are whole points of one dimension or more, and
  /// finite
  Points(std::span<const float> values, int64_t dimensions);

  size_t size() const { return values_.size() / dimensions_; }
  size_t dimensions() const { return dimensions_; }
  /// Coordinates of a point. @return [dimensions]
  std::span<const float> operator[](size_t point) const {
    return values_.subspan(point * dimensions_, dimensions_);
  }

 private:
  std::span<const float> values_;
  size_t dimensions_;
};

/// Sums term(a[j], b[j]) in double. The order is fixed: eight sums side by side, which a processor
/// adds at a time, then these.
template <typename A, typename B, typename Term>
double sum_of_terms(std::span<A> a, std::span<B> b, Term term) {
  constexpr size_t kSums = 8;
  std::array<double, kSums> sums = {};
  size_t j = 0;
  for (; j + kSums <= a.size(); j += kSums) {
    for (size_t s = 0; s < kSums; ++s) sums[s] += term(double{a[j + s]}, double{b[j + s]});
  }
  double sum = 0;
  for (; j < a.size(); ++j) sum += term(double{a[j]}, double{b[j]});
  for (const double s : sums) sum += s;
  return sum;
}

/// Returns the square of the Euclidean distance. @param a, b of equal length
template <typename A, typename B>
double squared_distance(std::span<A> a, std::span<B> b) {
  return sum_of_terms(a, b, [](double x, double y) { return (x - y) * (x - y); });
}

/// Returns the inner product. @param a, b of equal length
template <typename A, typename B>
double inner_product(std::span<A> a, std::span<B> b) {
  return sum_of_terms(a, b, [](double x, double y) { return x * y; });
}

}  // namespace derrd
