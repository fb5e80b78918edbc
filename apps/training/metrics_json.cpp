#include "apps/training/metrics_json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace derrd {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

Json by_name(const std::vector<std::string>& names, const std::vector<double>& values, bool known) {
  Json json;
  for (size_t n = 0; n < names.size(); ++n)
    json[names[n]] = number_json(known ? values[n] : kUnknown);
  return json;
}

}  // namespace

void append_values(std::vector<double>& values, const Metrics& metrics) {
  for (size_t n = 0; n < kCutoffs.size(); ++n) {
    values.insert(values.end(), {metrics.hit[n], metrics.ndcg[n], metrics.mrr[n]});
  }
}

void append_values(std::vector<double>& values, const RankingValues& metrics, size_t cutoffs) {
  for (size_t n = 0; n < kFullCutoffs.size(); ++n) {
    for (size_t m = 0; m < kRankingMetricNames.size(); ++m) {
      values.push_back(n < cutoffs ? metrics.at(static_cast<RankingMetric>(m), n) : kUnknown);
    }
  }
}

Json metrics_json(const Metrics& metrics) {
  std::vector<double> values;
  append_values(values, metrics);
  return by_name(candidate_metric_names(), values, metrics.users > 0);
}

Json metrics_json(const FullRanking& metrics, size_t cutoffs) {
  std::vector<double> accuracy;
  append_values(accuracy, metrics.accuracy.mean, cutoffs);
  Json json = by_name(accuracy_metric_names(), accuracy, !metrics.accuracy.users.empty());
  for (size_t n = 0; n < kFullCutoffs.size(); ++n) {
    const auto figure = [&](const ListFigures::AtCutoffs& values) {
      return number_json(n < cutoffs ? values[n] : kUnknown);
    };
    json[fmt::format("coverage@{}", kFullCutoffs[n])] = figure(metrics.lists.coverage);
    json[fmt::format("gini@{}", kFullCutoffs[n])] = figure(metrics.lists.gini);
    json[fmt::format("popularity@{}", kFullCutoffs[n])] = figure(metrics.lists.popularity);
  }
  return json;
}

Json number_json(double value) { return std::isnan(value) ? Json() : Json(value); }

std::string format_metric(const Json& metric) {
  return metric.is_null() ? "-" : fmt::format("{:.4f}", metric.get<double>());
}

}  // namespace derrd
