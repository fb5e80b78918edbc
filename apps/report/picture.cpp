#include "apps/report/picture.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "apps/report/markup.h"

namespace derrd {

namespace {

// Rules are those of pictures alone: a page has several of them in its text.
constexpr const char* kPictureStyle = R"(
.picture { --text: #1b1f24; --quiet: #59636e; --paper: #ffffff; --rule: #d1d9e0;
  --s0: #1b1f24; --s1: #6b7480; --s2: #b45309; --s3: #0e7490; --s4: #1d4ed8; --s5: #15803d; --s6: #be123c; --s7: #7e22ce; }
@media (prefers-color-scheme: dark) { .picture { --text: #e6edf3; --quiet: #9aa4af; --paper: #0d1117; --rule: #3d444d;
  --s0: #e6edf3; --s1: #9aa4af; --s2: #fbbf24; --s3: #22d3ee; --s4: #79a8ff; --s5: #4ade80; --s6: #fb7185; --s7: #d8b4fe; } }
.picture text { font: 13px system-ui, sans-serif; fill: var(--text); }
.picture .title { font-weight: 600; font-size: 15px; } .picture .quiet { fill: var(--quiet); }
.picture .end { text-anchor: end; } .picture .middle { text-anchor: middle; }
.picture .frame { fill: var(--paper); stroke: var(--rule); } .picture .grid { stroke: var(--rule); stroke-width: .6; fill: none; }
.picture .axis { stroke: var(--quiet); fill: none; } .picture .error { stroke: var(--text); stroke-width: 1.4; fill: none; }
.picture .ours { fill: var(--s4); stroke: var(--s4); stroke-width: 2; } .picture .paper { fill: none; stroke: var(--s2); stroke-width: 2; }
.picture .level { fill: none; stroke-width: 1.8; stroke-dasharray: 2 4; stroke-linecap: round; }
.picture .line { fill: none; stroke-width: 1.9; stroke-linejoin: round; } .picture .published { stroke-width: 1.3; stroke-dasharray: 5 4; }
.picture .label { font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 3; }
.picture .dots { stroke-width: .8; } .picture .dot { stroke-width: 1.5; } .picture .hatch { stroke: var(--paper); stroke-width: 1.5; fill: none; }
)";

/// Dots in forms that differ without colour, within -1 to 1: filled ones and hollow ones.
struct DotForm {
  const char* path;
  bool filled;
  const char* small;  ///< the same from the dot's middle, about 5 units wide
};
constexpr std::array<DotForm, kStyles> kDots = {{
    {"M-1 -1H1V1H-1Z", true, "m-2 -2h4v4h-4z"},  // square
    {"M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z", false, "m-2 0a2 2 0 1 1 4 0a2 2 0 1 1 -4 0z"},  // ring
    {"M0 -1.2L1.1 .9H-1.1Z", true, "m0 -3l2.6 4.6h-5.2z"},   // triangle
    {"M0 1.2L1.1 -.9H-1.1Z", false, "m0 3l2.6 -4.6h-5.2z"},  // triangle on its head
    {"M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z", true, "m-2 0a2 2 0 1 1 4 0a2 2 0 1 1 -4 0z"},  // disc
    {"M0 -1.3L1.3 0L0 1.3L-1.3 0Z", false, "m0 -3l3 3l-3 3l-3 -3z"},  // diamond
    {"M0 -1.3L1.3 0L0 1.3L-1.3 0Z", true, "m0 -3l3 3l-3 3l-3 -3z"},   // filled diamond
    {"M-1 -1H1V1H-1Z", false, "m-2 -2h4v4h-4z"},                      // hollow square
}};

/// Scales a path of kDots to a size around a point.
std::string placed(const char* path, double x, double y, double size) {
  return fmt::format("transform=\"translate({:.1f} {:.1f}) scale({:.2g})\" d=\"{}\"", x, y, size,
                     path);
}

/// Lines of hatching across a bar: none, or in one of three directions.
std::string hatching(const SvgBar& bar, size_t style) {
  constexpr double kDistance = 6;
  const double width = bar.right - bar.left, height = bar.bottom - bar.top;
  std::string path;
  const auto line = [&](double x0, double y0, double x1, double y1) {
    path += fmt::format("M{:.1f} {:.1f}L{:.1f} {:.1f}", x0, y0, x1, y1);
  };
  if (style % 4 == 1) {  // across
    for (double y = bar.bottom - kDistance; y > bar.top; y -= kDistance) {
      line(bar.left, y, bar.right, y);
    }
  } else if (style % 4 == 2) {  // rising
    for (double y = bar.bottom; y > bar.top - width; y -= kDistance) {
      const double from = std::min(y, bar.bottom), to = std::max(y - width, bar.top);
      if (to < from && y > bar.top) line(bar.left + (y - from), from, bar.left + (y - to), to);
    }
  } else if (style % 4 == 3) {  // falling
    for (double y = bar.bottom; y > bar.top - width; y -= kDistance) {
      const double from = std::max(y - width, bar.top), to = std::min(y, bar.bottom);
      if (from < to && y > bar.top) line(bar.right - (y - from), from, bar.right - (y - to), to);
    }
  }
  if (path.empty() || height <= 0) return "";
  return "<path class=\"hatch\" d=\"" + path + "\"/>\n";
}

}  // namespace

std::string begin_svg(const std::string& title, double width, double height) {
  std::string style = kPictureStyle;
  for (size_t s = 0; s < kStyles; ++s) {
    style += fmt::format(
        ".picture .c{0} {{ stroke: var(--s{0}); }} .picture .f{0} {{ fill: var(--s{0}); }}\n", s);
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" viewBox=\"0 0 {0:g} {1:g}\" "
      "width=\"{0:g}\" height=\"{1:g}\" role=\"img\" aria-label=\"{2}\">\n<style>{3}</style>\n"
      "<rect class=\"frame\" x=\".5\" y=\".5\" width=\"{4:g}\" height=\"{5:g}\" rx=\"8\"/>\n",
      width, height, escaped(title), style, width - 1, height - 1);
}

std::string svg_text(double x, double y, const std::string& classes, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n", x, y,
                     classes.empty() ? "" : " class=\"" + classes + "\"", escaped(text));
}

std::string svg_dot(double x, double y, size_t style, double size) {
  const size_t s = style % kStyles;
  const DotForm& form = kDots[s];
  return fmt::format("<path class=\"dot c{}{}\" vector-effect=\"non-scaling-stroke\" {}{}/>\n", s,
                     form.filled ? fmt::format(" f{}", s) : "",
                     form.filled ? "" : "fill=\"var(--paper)\" ", placed(form.path, x, y, size));
}

std::string svg_dots(std::span<const std::array<double, 2>> places, size_t style, double opacity) {
  if (places.empty()) return "";
  const size_t s = style % kStyles;
  std::string path;
  for (const auto& [x, y] : places) path += fmt::format("M{:.1f} {:.1f}{}", x, y, kDots[s].small);
  return fmt::format("<path class=\"dots c{}{}\" opacity=\"{:.2f}\"{} d=\"{}\"/>\n", s,
                     kDots[s].filled ? fmt::format(" f{}", s) : "", opacity,
                     kDots[s].filled ? "" : " fill=\"none\"", path);
}

std::string svg_bar(const SvgBar& bar, size_t style) {
  const size_t s = style % kStyles;
  return fmt::format(
             "<path class=\"bar c{0} f{0}\" d=\"M{1:.1f} {2:.1f}H{3:.1f}V{4:.1f}H{1:.1f}Z\"/>\n", s,
             bar.left, bar.top, bar.right, bar.bottom) +
         hatching(bar, s);
}

}  // namespace derrd
