#include "apps/evaluation/evaluation_row.h"

#include <algorithm>
#include <filesystem>

#include "apps/training/metrics_json.h"

namespace derrd {

void name_rows(std::vector<EvaluationRow>& rows) {
  const auto short_name = [](const EvaluationRow& row) {
    return std::filesystem::path(row.file).filename().string();
  };
  for (EvaluationRow& row : rows) {
    row.name = short_name(row);
    const auto same = [&](const EvaluationRow& other) { return short_name(other) == row.name; };
    if (std::ranges::count_if(rows, same) > 1) row.name = row.file;
  }
}

UserMetrics candidate_metrics(const EvaluationRow& row) {
  UserMetrics metrics;
  metrics.names = candidate_metric_names();
  if (!row.model) return metrics;
  const std::vector<Metrics> of_users = row.model->candidates.test.of_users();
  for (size_t u = 0; u < of_users.size(); ++u) {
    if (of_users[u].users == 0) continue;
    metrics.users.push_back(static_cast<int32_t>(u));
    append_values(metrics.values, of_users[u]);
  }
  return metrics;
}

UserMetrics full_metrics(const EvaluationRow& row) {
  UserMetrics metrics;
  metrics.names = accuracy_metric_names();
  metrics.users = row.full.accuracy.users;
  for (const RankingValues& values : row.full.accuracy.users_values) {
    append_values(metrics.values, values, row.cutoffs);
  }
  return metrics;
}

}  // namespace derrd
