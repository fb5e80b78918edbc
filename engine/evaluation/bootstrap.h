#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace derrd {

/// Resamples of the bootstrap, and the seed that draws them: they depend on the number of rows
/// alone, so that models of the same users are compared on the same ones.
inline constexpr int kResamples = 1000;
inline constexpr uint64_t kBootstrapSeed = 0;

/// Draws as many rows as there are, with replacement, and returns the means of the columns; this
/// for each resample. Resample b draws each row by RandomStream(kBootstrapSeed, kBootstrapStream,
/// b).below(rows).
/// @param values [rows, columns], at least one row; NaN makes a column's means NaN
/// @return [columns, kResamples]
std::vector<double> bootstrap_means(std::span<const double> values, int64_t columns);

/// Bounds between which a figure lies with 95 % confidence.
struct Interval {
  double low, high;
};

/// Percentile interval: the quantiles .025 and .975 of the figure over the resamples, linear
/// between neighbours.
/// @param figures [resamples], not empty
Interval percentile_interval(std::span<const double> figures);

}  // namespace derrd
