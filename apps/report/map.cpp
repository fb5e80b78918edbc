#include "apps/report/map.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apps/report/picture.h"

namespace derrd {

namespace {

// In units of the SVG's view box.
constexpr double kSide = 360, kMargin = 14, kTop = 66, kLegendLine = 22, kLegendEntry = 120;

struct Bounds {
  Place low = {0, 0}, high = {1, 1};
};

Bounds bounds_of(const std::vector<MapPanel>& panels) {
  Bounds bounds;
  bool any = false;
  for (const MapPanel& panel : panels) {
    for (const MapDots& dots : panel.dots) {
      for (const Place& place : dots.places) {
        for (size_t axis = 0; axis < 2; ++axis) {
          bounds.low[axis] = any ? std::min(bounds.low[axis], place[axis]) : place[axis];
          bounds.high[axis] = any ? std::max(bounds.high[axis], place[axis]) : place[axis];
        }
        any = true;
      }
    }
  }
  for (size_t axis = 0; axis < 2; ++axis) {
    if (bounds.high[axis] <= bounds.low[axis]) bounds.high[axis] = bounds.low[axis] + 1;
  }
  return bounds;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

std::string svg_maps(const std::string& title, const std::vector<MapPanel>& panels) {
  const double width = kMargin + (kSide + kMargin) * static_cast<double>(panels.size());
  const Bounds bounds = bounds_of(panels);
  std::string body, labels, legend;
  std::set<std::string> entries;
  double legend_x = kMargin, legend_y = kTop + kSide + 30;
  for (size_t p = 0; p < panels.size(); ++p) {
    const double left = kMargin + (kSide + kMargin) * static_cast<double>(p);
    const auto on_map = [&](const Place& place) {
      const auto part = [&](size_t axis) {
        return .02 +
               .96 * (place[axis] - bounds.low[axis]) / (bounds.high[axis] - bounds.low[axis]);
      };
      return Place{left + kSide * part(0), kTop + kSide * part(1)};
    };
    body += svg_text(left, kTop - 10, "", panels[p].title);
    body +=
        fmt::format("<rect class=\"grid\" x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\"/>\n",
                    left, kTop, kSide, kSide);
    for (const MapDots& dots : panels[p].dots) {
      std::vector<Place> places;
      for (const Place& place : dots.places) places.push_back(on_map(place));
      body += svg_dots(places, dots.style, dots.opacity);
      if (!dots.label.empty() && !places.empty()) {
        std::vector<double> x, y;
        for (const Place& place : places) {
          x.push_back(place[0]);
          y.push_back(place[1]);
        }
        constexpr double kHalfLabel = 24;
        const double at = std::clamp(median(x), left + kHalfLabel, left + kSide - kHalfLabel);
        labels += svg_text(at, median(y) + 4, "label middle", dots.label);
      }
      if (dots.entry.empty() || dots.places.empty() || !entries.insert(dots.entry).second) continue;
      const double entry_width =
          std::max(kLegendEntry, 34 + 7.2 * static_cast<double>(dots.entry.size()));
      if (legend_x > kMargin && legend_x + entry_width > width) {
        legend_x = kMargin;
        legend_y += kLegendLine;
      }
      legend += svg_dot(legend_x + 6, legend_y - 4, dots.style);
      legend += svg_text(legend_x + 18, legend_y, "", dots.entry);
      legend_x += entry_width;
    }
  }
  return begin_svg(title, width, legend_y + 14) + svg_text(kMargin, 24, "title", title) + body +
         labels + legend + "</svg>\n";
}

}  // namespace derrd
