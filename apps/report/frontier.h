#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/report/chart.h"

namespace derrd {

/// H\@5 over parameters, in millions, of a method's students, smallest first.
struct FrontierLine {
  std::string method;
  std::vector<ChartPoint> points;
};

/// Draws H\@5 over parameters as an SVG file. Each method has the style of its place among the
/// lines, as in all charts; one without points is left out.
/// @param teacher H\@5 of the teacher
std::string frontier_picture(const std::string& title, const std::vector<FrontierLine>& lines,
                             std::optional<double> teacher);

}  // namespace derrd
