#include "apps/training/metrics_json.h"

#include <fmt/format.h>

#include <cstdint>

namespace derrd {

namespace {

/// Returns a mean over `users`.
Json mean(double value, int64_t users) { return users > 0 ? Json(value) : Json(); }

}  // namespace

Json metrics_json(const Metrics& metrics) {
  Json json;
  for (size_t n = 0; n < kCutoffs.size(); ++n) {
    json[fmt::format("H@{}", kCutoffs[n])] = mean(metrics.hit[n], metrics.users);
    json[fmt::format("N@{}", kCutoffs[n])] = mean(metrics.ndcg[n], metrics.users);
    json[fmt::format("M@{}", kCutoffs[n])] = mean(metrics.mrr[n], metrics.users);
  }
  return json;
}

Json metrics_json(const FullRankingMetrics& metrics) {
  Json json;
  for (size_t n = 0; n < metrics.kCutoffs.size(); ++n) {
    json[fmt::format("Recall@{}", metrics.kCutoffs[n])] = mean(metrics.recall[n], metrics.users);
    json[fmt::format("NDCG@{}", metrics.kCutoffs[n])] = mean(metrics.ndcg[n], metrics.users);
    json[fmt::format("HR@{}", metrics.kCutoffs[n])] = mean(metrics.hit[n], metrics.users);
  }
  return json;
}

std::string format_metric(const Json& metric) {
  return metric.is_null() ? "-" : fmt::format("{:.4f}", metric.get<double>());
}

}  // namespace derrd
