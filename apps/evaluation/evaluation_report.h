#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/evaluation/comparison.h"
#include "apps/evaluation/evaluation_row.h"
#include "apps/training/metrics_json.h"
#include "data/dataset.h"

namespace derrd {

/// What `derrd evaluate` reports.
struct EvaluationReport {
  std::vector<EvaluationRow> rows;       ///< models, then lists; at least one
  int64_t users_without_candidates = 0;  ///< those with test items
  bool without_valid = false;  ///< whether validation items are left out of the full ranking
  std::optional<Estimates> candidates, full;  ///< with --ci
  /// Most memory of the host that the process had until the models were measured; with --latency,
  /// if the system tells it.
  std::optional<int64_t> peak_host_bytes;
};

/// Measures the confidence intervals of the rows. @param seed of the resamples
void add_estimates(EvaluationReport& report, uint64_t seed);

/// Returns the number of users with test items who have no candidates.
int64_t count_without_candidates(const Dataset& dataset);

/// Prints everything as tables.
/// @param valid whether to print the validation items' metrics too
void print_tables(const EvaluationReport& report, const Dataset& dataset, bool valid);

/// Returns everything as JSON, without the data set.
Json models_json(const EvaluationReport& report, const Dataset& dataset);
Json disagreements_json(const EvaluationReport& report);

/// Writes a line per row and user: the file, the user's original id, the number of test items, and
/// all metrics, "-" where one is unknown or the user does not count. Names stand in the first line.
/// @throws Error if the file can't be written, or a name or id has a tab or a line end.
void write_users(const std::string& path, const EvaluationReport& report, const Dataset& dataset);

}  // namespace derrd
