#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace derrd {

/// Point of a line with its standard error.
struct ChartPoint {
  double x = 0, y = 0;
  double error = 0;  ///< 0: not drawn
};

/// Line of a panel. Some of its points have dots; of few points, all.
struct ChartLine {
  std::string label = {};
  size_t style = 0;        ///< each method keeps its own in all charts
  bool published = false;  ///< whether the line is dashed
  std::vector<ChartPoint> points = {};
};

/// Bar of a group of bars.
struct ChartBar {
  std::string label = {};
  size_t style = 0;
  size_t group = 0;  ///< category of the x axis
  double value = 0, error = 0;
  std::optional<double> paper = {};  ///< drawn as a ring
};

/// Dotted line across a panel, at a value of the y axis.
struct ChartLevel {
  std::string label = {};
  size_t style = 0;
  double value = 0;
};

/// Axis of a panel. Its range is that of the values, up to whole ticks.
struct ChartAxis {
  std::string title = {};  ///< with the unit
  bool logarithmic = false;
  bool from_zero = false;
  std::vector<std::string> categories = {};  ///< names of the values 0, 1, ...; empty: numbers
};

/// Panel of a chart: lines, or groups of bars side by side.
struct ChartPanel {
  std::string title = {};
  ChartAxis x = {}, y = {};
  std::vector<ChartLine> lines = {};
  std::vector<ChartBar> bars = {};
  std::vector<ChartLevel> levels = {};
};

/// Chart of panels that share a legend.
struct Chart {
  std::string title;
  std::vector<ChartPanel> panels;  ///< two beside each other
};

/// Draws a chart as an SVG file.
std::string svg(const Chart& chart);

}  // namespace derrd
