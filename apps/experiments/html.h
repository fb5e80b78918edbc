#pragma once

#include <string>
#include <vector>

#include "apps/experiments/chart.h"
#include "apps/experiments/report_table.h"

namespace derrd {

/// Report of `derrd reproduce`.
struct Report {
  std::string title;
  std::vector<ReportTable> tables;
  std::vector<Chart> charts;
  std::vector<std::string> facts;  ///< origin of the figures
};

/// Writes a report as one HTML page without scripts or further files, in the reader's light or dark
/// colours.
std::string html(const Report& report);

}  // namespace derrd
