#include "apps/training/metrics_json.h"

#include <fmt/format.h>

namespace derrd {

Json metrics_json(const Metrics& metrics) {
  Json json;
  for (size_t n = 0; n < kCutoffs.size(); ++n) {
    json[fmt::format("H@{}", kCutoffs[n])] = metrics.hit[n];
    json[fmt::format("N@{}", kCutoffs[n])] = metrics.ndcg[n];
    json[fmt::format("M@{}", kCutoffs[n])] = metrics.mrr[n];
  }
  return json;
}

Json metrics_json(const FullRankingMetrics& metrics) {
  Json json;
  for (size_t n = 0; n < metrics.kCutoffs.size(); ++n) {
    json[fmt::format("Recall@{}", metrics.kCutoffs[n])] = metrics.recall[n];
    json[fmt::format("NDCG@{}", metrics.kCutoffs[n])] = metrics.ndcg[n];
    json[fmt::format("HR@{}", metrics.kCutoffs[n])] = metrics.hit[n];
  }
  return json;
}

}  // namespace derrd
