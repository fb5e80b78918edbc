#pragma once

#include <string>

#include "apps/evaluation/evaluation_row.h"
#include "data/dataset.h"

namespace derrd {

/// Measures the full ranking by another program's lists, in the formats that `distill --teacher`
/// takes. A list's order counts as it stands, without the items that are left out; test items that
/// are not in it are misses. Prints on stderr what was left out, and how many users with test items
/// have no list.
/// @param left_out_too [U] rows of items that are not ranked, beside the training items; or no rows
/// @throws Error as read_ranking_lists() does.
EvaluationRow evaluate_lists(const std::string& path, const Dataset& dataset,
                             const InteractionRows& left_out_too);

}  // namespace derrd
