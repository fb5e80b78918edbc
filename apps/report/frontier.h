#pragma once

#include <string>
#include <vector>

#include "apps/report/chart.h"
#include "apps/report/report_table.h"

namespace derrd {

/// H\@5 over parameters, in millions, of a method's students, smallest first.
struct FrontierLine {
  std::string method;
  std::vector<ChartPoint> points;
};

/// Returns the lines of all methods in the order of their rows.
/// @param sizes has columns "H\@5" and "parameters", and a row "<method> phi-<size>" for each
///   student, rising in size; other rows and students without these figures are left out
std::vector<FrontierLine> frontier_lines(const ReportTable& sizes);

/// Draws these lines as an SVG file, with the H\@5 of a row "teacher".
std::string frontier_picture(const std::string& title, const ReportTable& sizes);

}  // namespace derrd
