#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace derrd {

/// Line of a chart: a metric from 0 to 1 after each epoch.
struct ChartSeries {
  std::string label;
  size_t color = 0;        ///< number of the colour; each method keeps its own in all charts
  bool published = false;  ///< whether the line is dashed
  std::vector<double> values;
};

/// Chart of some lines over the epochs.
struct Chart {
  std::string title;
  std::vector<ChartSeries> series;
  std::string note;
};

/// Number of colours; further lines repeat them.
inline constexpr size_t kChartColors = 8;

/// Draws a chart as an SVG element. The page's style sheet gives the colours of the classes c0, c1,
/// ..., published.
std::string svg(const Chart& chart);

}  // namespace derrd
