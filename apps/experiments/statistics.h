#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace derrd {

/// Arithmetic mean. @param values not empty.
double mean(std::span<const double> values);
/// Standard error of the mean: the sample's standard deviation over the root of its size; none of
/// fewer than two values.
std::optional<double> standard_error(std::span<const double> values);

/// Student's t-test of paired samples.
struct PairedTest {
  double difference = 0;  ///< mean of a - b
  /// None where all differences are equal but for rounding, from which no spread can be estimated.
  std::optional<double> t;
  std::optional<double> p;  ///< two-sided
};
/// None of fewer than two pairs. @param a, b of equal length.
std::optional<PairedTest> paired_t_test(std::span<const double> a, std::span<const double> b);

/// As the paper marks a p-value: * at most .05, ** .005, *** .0005, **** .00005.
std::string asterisks(double p);

}  // namespace derrd
