#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace derrd {

/// Returns the arithmetic mean. @param values not empty
double mean(std::span<const double> values);
/// Returns the standard error of the mean: the sample's standard deviation divided by the root of
/// its size. None for fewer than two values.
std::optional<double> standard_error(std::span<const double> values);

/// Result of Student's t-test for paired samples.
struct PairedTest {
  double difference = 0;  ///< mean of a - b
  /// None if all differences are equal up to rounding, so that they have no spread.
  std::optional<double> t;
  std::optional<double> p;  ///< two-sided
};
/// Tests whether paired samples differ. Returns none for fewer than two pairs.
/// @param a, b of equal length
std::optional<PairedTest> paired_t_test(std::span<const double> a, std::span<const double> b);

/// Marks a p-value as the paper does: * at most .05, ** .005, *** .0005, **** .00005.
std::string asterisks(double p);

}  // namespace derrd
