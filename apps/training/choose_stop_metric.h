#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/evaluation/stop_metric.h"

namespace derrd {

/// Chooses the first metric that can tell epochs apart, and says on standard error which ones can't
/// and why.
/// @param names of metrics; none: H@5, then N@5 and NDCG@10
/// @param path of the data set, for messages
/// @return none if the preset's rule, which begins with H@5, applies, or there are no validation
///   items
/// @throws Error if no metric can tell epochs apart.
std::optional<StopMetric> choose_stop_metric(std::vector<std::string> names, const Dataset& dataset,
                                             const std::string& path);

}  // namespace derrd
