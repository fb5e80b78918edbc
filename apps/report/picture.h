#pragma once

#include <array>
#include <cstddef>
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

/// Number of styles of lines, bars and dots; further ones repeat them. Styles differ in brightness,
/// and in the form of dots, the dashes of lines or the hatching of bars.
inline constexpr size_t kStyles = 8;

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

/// Bar with corners (left, top) and (right, bottom).
struct SvgBar {
  double left, top, right, bottom;
};
/// Draws a bar in the colour and hatching of a style.
std::string svg_bar(const SvgBar& bar, size_t style);

}  // namespace derrd
