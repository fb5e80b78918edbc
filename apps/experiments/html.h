#pragma once

#include <string>
#include <vector>

#include "apps/experiments/chart.h"
#include "apps/experiments/report_table.h"

namespace derrd {

struct Report {
  std::string title;
  std::vector<ReportTable> tables;
  std::vector<Chart> charts;
  std::vector<std::string> facts;  ///< what produced it
};

/// A page of its own: no scripts, nothing from elsewhere; light or dark as the reader has it.
std::string html(const Report& report);

}  // namespace derrd
