#pragma once

#include <string>
#include <variant>
#include <vector>

#include "apps/report/picture.h"
#include "apps/report/report_table.h"

namespace derrd {

using ReportSection = std::variant<ReportTable, Picture>;

/// Report of `derrd reproduce`.
struct Report {
  std::string title;
  std::vector<ReportSection> sections;
  std::vector<std::string> facts;  ///< origin of the figures
};

/// Writes a report as an HTML page, in the reader's light or dark colours. The page needs no
/// scripts and no other files.
std::string html(const Report& report);

}  // namespace derrd
