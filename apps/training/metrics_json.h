#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/metrics.h"

namespace derrd {

/// JSON that keeps the order of its keys.
using Json = nlohmann::ordered_json;

/// Writes metrics as {"H@5": ..., "N@5": ..., "M@5": ..., "H@10": ...}; null where no user counts.
Json metrics_json(const Metrics& metrics);
/// Writes metrics as {"Recall@10": ..., "NDCG@10": ..., "HR@10": ..., "Recall@20": ...}; null where
/// no user counts.
Json metrics_json(const FullRankingMetrics& metrics);

/// Formats a metric of metrics_json() for people: four decimals, or "-" for null.
std::string format_metric(const Json& metric);

}  // namespace derrd
