#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

namespace derrd {

/// Picture of the report.
struct Picture {
  std::string name;  ///< "figure4"
  std::string data_set, model;
  std::string title;
  std::string svg;   ///< an SVG file
  std::string note;  ///< how to read it; may be empty
};

/// Number of styles of dots and bars; further ones repeat them. They differ in colour, and without
/// colour in the form of dots and the hatching of bars.
inline constexpr size_t kStyles = 8;

// In units of a picture's view box.
inline constexpr double kPictureMargin = 14;
inline constexpr double kLegendLabel = 32;

/// Begins an SVG file in the reader's light or dark colours: its frame and the style sheet that all
/// pictures share. The file ends with "</svg>\n".
/// @param title for people who can't see it
std::string begin_svg(const std::string& title, double width, double height);

/// Draws a text whose classes are among: title, quiet, end, middle.
std::string svg_text(double x, double y, const std::string& classes, const std::string& text);

/// Draws a dot of a style in its own form.
std::string svg_dot(double x, double y, size_t style, double size = 4);

/// Draws small dots of a style, each at a place.
std::string svg_dots(std::span<const std::array<double, 2>> places, size_t style,
                     double opacity = 1);

/// Range of values.
struct ValueRange {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  bool empty() const { return low > high; }
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// Places of a legend's entries: beside each other, in as many lines as they need.
class LegendPlaces {
 public:
  /// @param top base line of the first line's text
  LegendPlaces(double width, double top) : width_(width), y_(top) {}

  /// Returns the place of the next entry, whose label begins kLegendLabel to the right of it.
  std::array<double, 2> next(const std::string& label);
  /// Base line of the last line's text.
  double last_line() const { return y_; }

 private:
  double width_, y_;
  double x_ = kPictureMargin;
};

/// Bar with corners (left, top) and (right, bottom).
struct SvgBar {
  double left, top, right, bottom;
};
/// Draws a bar in the colour and hatching of a style.
std::string svg_bar(const SvgBar& bar, size_t style);

}  // namespace derrd
