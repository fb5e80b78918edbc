#pragma once

#include <cstddef>
#include <vector>

namespace derrd::test {

/// Derivative of f() with respect to `value`, which f reads: (f(v + h) - f(v - h)) / 2h. Its error
/// is h^2 / 6 of the third derivative and the rounding of f over h, far below a float's with the
/// default step. `value` ends as it began.
/// @param f returns a double, computed in double: an oracle, not a kernel
template <class F>
double finite_difference(double& value, F&& f, double step = 1e-5) {
  const double centre = value;
  value = centre + step;
  const double above = f();
  value = centre - step;
  const double below = f();
  value = centre;
  return (above - below) / (2 * step);
}

/// finite_difference with respect to each of `values`.
template <class F>
std::vector<double> finite_differences(std::vector<double>& values, F&& f, double step = 1e-5) {
  std::vector<double> derivatives;
  derivatives.reserve(values.size());
  for (double& value : values) derivatives.push_back(finite_difference(value, f, step));
  return derivatives;
}

/// Sum of the products of two vectors of one size: a scalar function of an operation's outputs
/// `values`, whose gradient with respect to them is `weights`.
template <class Values, class Weights>
double weighted_sum(const Values& values, const Weights& weights) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += double{weights[i]} * values[i];
  return sum;
}

}  // namespace derrd::test
