#pragma once

#include <memory>
#include <string>

#include "apps/report/report_part.h"

namespace derrd {

/// Makes a part of the paper: "table1" to "table5", "figure4" to "figure7", "capacity", "claims";
/// or "curves", the learning curves. @throws std::out_of_range for another name.
std::unique_ptr<ReportPart> make_report_part(const std::string& name);

}  // namespace derrd
