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

/// Directions of the lines across a bar. A hollow bar has none, and no filling.
struct Hatching {
  bool hollow = false, level = false, upright = false, rising = false, falling = false;
};
constexpr std::array<Hatching, kStyles> kHatchings = {{{.level = true, .upright = true},
                                                       {.hollow = true},
                                                       {.rising = true},
                                                       {.falling = true},
                                                       {},
                                                       {.level = true},
                                                       {.rising = true, .falling = true},
                                                       {.upright = true}}};

/// Draws lines across a bar.
std::string hatch(const SvgBar& bar, const Hatching& hatching) {
  constexpr double kDistance = 6;
  std::string path;
  const auto line = [&](double x0, double y0, double x1, double y1) {
    path += fmt::format("M{:.1f} {:.1f}L{:.1f} {:.1f}", x0, y0, x1, y1);
  };
  for (double y = bar.bottom - kDistance; hatching.level && y > bar.top; y -= kDistance) {
    line(bar.left, y, bar.right, y);
  }
  for (double x = bar.left + kDistance; hatching.upright && x < bar.right; x += kDistance) {
    line(x, bar.top, x, bar.bottom);
  }
  // Slanted lines begin at a side, `y` high, which may be below the bar.
  const double width = bar.right - bar.left;
  for (double y = bar.bottom + width - kDistance; y > bar.top; y -= kDistance) {
    const double from = std::max(0.0, y - bar.bottom), to = std::min(width, y - bar.top);
    if (from >= to) continue;
    if (hatching.rising) line(bar.left + from, y - from, bar.left + to, y - to);
    if (hatching.falling) line(bar.right - from, y - from, bar.right - to, y - to);
  }
  return path.empty() ? "" : "<path class=\"hatch\" d=\"" + path + "\"/>\n";
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

std::array<double, 2> LegendPlaces::next(const std::string& label) {
  constexpr double kShortest = 110, kLetter = 7.2, kGap = 16, kLine = 22;
  const double entry =
      std::max(kShortest, kLegendLabel + kGap + kLetter * static_cast<double>(label.size()));
  if (x_ > kPictureMargin && x_ + entry > width_) {
    x_ = kPictureMargin;
    y_ += kLine;
  }
  const double x = x_;
  x_ += entry;
  return {x, y_};
}

std::string svg_bar(const SvgBar& bar, size_t style) {
  const size_t s = style % kStyles;
  return fmt::format(
             "<path class=\"bar c{0}{1}\"{2} d=\"M{3:.1f} {4:.1f}H{5:.1f}V{6:.1f}H{3:.1f}Z\"/>\n",
             s, kHatchings[s].hollow ? "" : fmt::format(" f{}", s),
             kHatchings[s].hollow ? " fill=\"var(--paper)\"" : "", bar.left, bar.top, bar.right,
             bar.bottom) +
         hatch(bar, kHatchings[s]);
}

}  // namespace derrd
