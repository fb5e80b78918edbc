#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/evaluation/evaluation_row.h"
#include "engine/evaluation/bootstrap.h"

namespace derrd {

/// A metric of a row with its 95 % confidence interval, and its difference to the first row's,
/// found on the same resamples of users.
struct Estimate {
  double value;
  Interval interval;
  std::optional<double> difference;  ///< none for the first row
  Interval difference_interval{};
};

/// Estimates of one kind of metrics.
struct Estimates {
  std::vector<std::string> names;
  /// [rows, names]; none: unknown, or the difference to the first row is of an unknown.
  std::vector<std::vector<std::optional<Estimate>>> rows;
};

/// Estimates the metrics by a bootstrap over the users that count, who are the same in all rows; a
/// row without users has unknown metrics.
/// @param rows metrics of each row, with the same names
/// @param seed of the resamples
Estimates estimates_of(const std::vector<UserMetrics>& rows, uint64_t seed);

/// Two models that candidates and the full ranking put in opposite orders.
struct Disagreement {
  size_t first, second;  ///< indices of rows
  double candidates[2];  ///< their N@10
  double full[2];        ///< their NDCG@10
};

/// Finds all pairs of models whose N@10 and NDCG@10 differ with opposite signs.
std::vector<Disagreement> disagreements_of(const std::vector<EvaluationRow>& rows);

}  // namespace derrd
