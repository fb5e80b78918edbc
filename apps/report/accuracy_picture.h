#pragma once

#include <string>

#include "apps/report/report_table.h"

namespace derrd {

/// Draws Table 2's H\@5 as an SVG file in the reader's light or dark colours: a line per method,
/// with our figure, its standard error, and the paper's figure. A method without a figure of ours
/// is left out.
std::string accuracy_picture(const std::string& title, const ReportTable& table);

}  // namespace derrd
