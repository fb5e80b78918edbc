#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace derrd {

/// Number of resamples of the bootstrap.
inline constexpr int kResamples = 1000;

/// Draws as many rows as there are, with replacement, and returns the means of the columns; this
/// for each resample. Resample b draws each row by RandomStream(seed, kBootstrapStream,
/// b).below(rows): the same for all models of the same users.
/// @param values [rows, columns], at least one row; NaN makes a column's means NaN
/// @return [columns, kResamples]
std::vector<double> bootstrap_means(std::span<const double> values, int64_t columns, uint64_t seed);

/// Bounds between which a figure lies with 95 % confidence.
struct Interval {
  double low, high;
};

/// Percentile interval: the quantiles .025 and .975 of the figure over the resamples, linear
/// between neighbours.
/// @param figures [resamples], not empty
Interval percentile_interval(std::span<const double> figures);

}  // namespace derrd
