#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace derrd {

/// Number of resamples of the bootstrap.
inline constexpr int kResamples = 1000;

/// Draws as many rows as there are, with replacement; this for each resample. Resample b draws each
/// row by RandomStream(seed, kBootstrapStream, b).below(rows): the same for all models of the same
/// users.
/// @param rows at least 1
/// @param visit called with each resample and how often it drew each row [rows]
void resample(size_t rows, uint64_t seed,
              const std::function<void(size_t b, std::span<const uint32_t> times)>& visit);

/// Returns the means of the columns over the rows of each resample.
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
