#pragma once

#include <string>

#include "apps/experiments/report_table.h"

namespace derrd {

/// Picture of the H\@5 of Table 2: a line per method, ours with its standard error and the paper's.
/// An SVG file of its own, light or dark as the reader has it. A method without a figure of ours is
/// left out.
std::string accuracy_picture(const ReportTable& table);

}  // namespace derrd
