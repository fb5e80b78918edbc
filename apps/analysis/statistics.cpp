#include "apps/analysis/statistics.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>
#include <vector>

namespace derrd {

namespace {
constexpr double kRounding = 1e-9;  // of differences of metrics, with a wide margin
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> standard_error(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(values.size());
  const double center = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - center) * (value - center);
  return std::sqrt(squares / (n - 1) / n);
}

std::optional<PairedTest> paired_t_test(std::span<const double> a, std::span<const double> b) {
  if (a.size() < 2) return std::nullopt;
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  PairedTest test;
  test.difference = mean(differences);
  const double error = *standard_error(differences);
  if (error <= kRounding * std::abs(test.difference)) return test;
  test.t = test.difference / error;
  const boost::math::students_t distribution(static_cast<double>(a.size() - 1));
  test.p = 2 * boost::math::cdf(boost::math::complement(distribution, std::abs(*test.t)));
  return test;
}

std::string asterisks(double p) {
  size_t count = 0;
  for (const double bound : {.05, .005, .0005, .00005}) count += p <= bound ? 1 : 0;
  return std::string(count, '*');
}

}  // namespace derrd
