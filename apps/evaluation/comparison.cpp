#include "apps/evaluation/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

namespace derrd {

namespace {

double mean_of_column(const UserMetrics& metrics, size_t column) {
  double sum = 0;
  for (size_t u = 0; u < metrics.users.size(); ++u) sum += metrics.row(u)[column];
  return sum / static_cast<double>(metrics.users.size());
}

std::vector<double> differences(std::span<const double> a, std::span<const double> b) {
  std::vector<double> result(a.size());
  std::ranges::transform(a, b, result.begin(), std::minus{});
  return result;
}

}  // namespace

Estimates estimates_of(const std::vector<UserMetrics>& rows, uint64_t seed) {
  Estimates estimates;
  estimates.names = rows.front().names;
  const size_t columns = estimates.names.size();
  std::vector<double> first_means;  // of the first row, [columns, kResamples]
  for (const UserMetrics& metrics : rows) {
    auto& row = estimates.rows.emplace_back(columns);
    if (metrics.users.empty()) continue;
    std::vector<double> means =
        bootstrap_means(metrics.values, static_cast<int64_t>(columns), seed);
    for (size_t c = 0; c < columns; ++c) {
      const double value = mean_of_column(metrics, c);
      if (std::isnan(value)) continue;
      const auto resampled = std::span(means).subspan(c * kResamples, kResamples);
      Estimate& estimate = row[c].emplace(Estimate{value, percentile_interval(resampled), {}});
      const auto& first = estimates.rows.front()[c];
      if (first_means.empty() || !first) continue;
      estimate.difference = value - first->value;
      estimate.difference_interval = percentile_interval(
          differences(resampled, std::span(first_means).subspan(c * kResamples, kResamples)));
    }
    if (first_means.empty()) first_means = std::move(means);
  }
  return estimates;
}

std::vector<Disagreement> disagreements_of(const std::vector<EvaluationRow>& rows) {
  constexpr size_t kCandidates10 = 1, kFull10 = 0;
  static_assert(kCutoffs[kCandidates10] == 10 && kFullCutoffs[kFull10] == 10);
  std::vector<double> candidates, full;
  for (const EvaluationRow& row : rows) {
    const Metrics test = row.model ? row.model->candidates.test.mean() : Metrics{};
    candidates.push_back(test.users > 0 ? test.ndcg[kCandidates10] : std::nan(""));
    full.push_back(row.full.accuracy.mean.at(RankingMetric::kNdcg, kFull10));
  }
  std::vector<Disagreement> found;
  for (size_t a = 0; a < rows.size(); ++a) {
    for (size_t b = a + 1; b < rows.size(); ++b) {
      const double by_candidates = candidates[a] - candidates[b], by_all = full[a] - full[b];
      const bool opposite = (by_candidates > 0 && by_all < 0) || (by_candidates < 0 && by_all > 0);
      if (opposite) {
        found.push_back({a, b, {candidates[a], candidates[b]}, {full[a], full[b]}});
      }
    }
  }
  return found;
}

}  // namespace derrd
