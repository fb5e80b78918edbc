#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace derrd {

/// A line of a chart: a ratio after each epoch.
struct Series {
  std::string label;
  size_t color = 0;        ///< a method has the same one in every chart, published or ours
  bool published = false;  ///< dashed
  std::vector<double> values;
};

struct Chart {
  std::string title;
  std::vector<Series> series;
  std::string note;
};

/// How many colours there are; they repeat after that.
inline constexpr size_t kChartColors = 8;

/// A chart as an SVG element that takes its colours from the page: classes c0, c1, ..., published.
std::string svg(const Chart& chart);

}  // namespace derrd
