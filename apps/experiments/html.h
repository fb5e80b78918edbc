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

/// Writes a report as an HTML page, in the reader's light or dark colours. The page needs no
/// scripts and no other files.
std::string html(const Report& report);

}  // namespace derrd
