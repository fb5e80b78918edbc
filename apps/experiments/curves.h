#pragma once

#include <string>
#include <vector>

#include "apps/experiments/chart.h"
#include "apps/experiments/tables.h"

namespace derrd {

/// Test and validation H\@5 of every method on the first split, with the published curves where
/// there are some. @throws Error if these can't be read.
std::vector<Chart> learning_curves(const Study& study, const Findings& findings,
                                   const std::string& data_set, const std::string& model);

}  // namespace derrd
