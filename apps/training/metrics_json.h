#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/full_ranking.h"
#include "engine/evaluation/metrics.h"

namespace derrd {

/// JSON that keeps the order of its keys.
using Json = nlohmann::ordered_json;

/// Appends the metrics in the order of their names.
void append_values(std::vector<double>& values, const Metrics& metrics);
/// Appends the metrics of the full ranking in the order of their names.
/// @param cutoffs number of kFullCutoffs with known values; NaN stands for the others
void append_values(std::vector<double>& values, const RankingValues& metrics, size_t cutoffs);

/// Writes metrics as {"H@5": ..., "N@5": ..., "M@5": ..., "H@10": ...}; null where no user counts.
Json metrics_json(const Metrics& metrics);
/// Writes metrics as {"Recall@10": ..., "NDCG@10": ..., ..., "coverage@10": ..., "gini@10": ...,
/// "popularity@10": ..., "Recall@20": ...}; null where no user counts, and at further cutoffs than
/// the first `cutoffs`.
Json metrics_json(const FullRanking& metrics, size_t cutoffs);

/// Writes a number, and null for NaN.
Json number_json(double value);
/// Formats a number for people: four decimals, or "-" for null.
std::string format_metric(const Json& metric);

}  // namespace derrd
