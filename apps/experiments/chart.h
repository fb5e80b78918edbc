#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace derrd {

/// Line of a chart: a ratio after each epoch.
struct ChartSeries {
  std::string label;
  size_t color = 0;        ///< number of the colour; each method keeps its own in all charts
  bool published = false;  ///< whether the line is dashed
  std::vector<double> values;
};

struct Chart {
  std::string title;
  std::vector<ChartSeries> series;
  std::string note;
};

/// Number of colours; further lines repeat them.
inline constexpr size_t kChartColors = 8;

/// Draws a chart as an SVG element. The page gives the colours: classes c0, c1, ..., published.
std::string svg(const Chart& chart);

}  // namespace derrd
