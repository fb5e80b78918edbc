#pragma once

#include <string>
#include <vector>

#include "apps/experiments/chart.h"
#include "apps/experiments/tables.h"

namespace derrd {

/// Makes charts of every method's test and validation H\@5 on the first split, with the published
/// curves where there are any. @throws Error if these can't be read.
std::vector<Chart> learning_curves(const ReportScope& scope, const ReportResults& results,
                                   const std::string& data_set, const std::string& model);

}  // namespace derrd
