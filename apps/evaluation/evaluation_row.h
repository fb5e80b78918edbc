#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/evaluation/model_latency.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/full_ranking.h"

namespace derrd {

/// What a model's file says, and what only a model that scores can be measured by.
struct ModelRow {
  int64_t users = 0, items = 0;  ///< those of the data set that the model has
  int64_t dim = 0, parameters = 0;
  double megabytes = 0;  ///< of the file
  UserEvaluation candidates = {
      LeaveOneOutMetrics(0),
      LeaveOneOutMetrics(0)};           ///< held-out items among the users' candidates
  double top10_seconds = 0;             ///< to make the top-10 list of every user, many at once
  std::optional<ModelLatency> latency;  ///< with --latency
};

/// What is measured of a model, or of another program's lists.
struct EvaluationRow {
  std::string file;
  std::string name;  ///< for tables: the file's name, with its folder where others have the same
  std::optional<ModelRow> model;  ///< none: lists
  FullRanking full;
  /// Number of kFullCutoffs, the smallest ones, at which `full` is known.
  size_t cutoffs = kFullCutoffs.size();
};

/// Names the rows.
void name_rows(std::vector<EvaluationRow>& rows);

/// Metrics of each user, by name.
struct UserMetrics {
  std::vector<std::string> names;
  std::vector<int32_t> users;  ///< those that count, ascending
  std::vector<double> values;  ///< [users, names]; NaN: unknown

  /// Returns the values of the user at an index of `users`.
  std::span<const double> row(size_t u) const {
    return std::span(values).subspan(u * names.size(), names.size());
  }
};

/// Metrics of the test items among the users' candidates; a row without a model has no users.
UserMetrics candidate_metrics(const EvaluationRow& row);
/// Metrics of the test items among all items.
UserMetrics full_metrics(const EvaluationRow& row);

}  // namespace derrd
