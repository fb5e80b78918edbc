#include "apps/report/map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "apps/report/picture.h"

namespace derrd {

namespace {

// In units of the SVG's view box.
constexpr double kSide = 360, kTop = 66;

/// Ranges of both coordinates.
std::array<ValueRange, 2> bounds_of(const std::vector<MapPanel>& panels) {
  std::array<ValueRange, 2> bounds;
  for (const MapPanel& panel : panels) {
    for (const MapDots& dots : panel.dots) {
      for (const Place& place : dots.places) {
        for (size_t axis = 0; axis < 2; ++axis) bounds[axis].add(place[axis]);
      }
    }
  }
  return bounds;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// A panel whose upper left corner is at (left, kTop).
class MapDrawing {
 public:
  MapDrawing(const MapPanel& panel, const std::array<ValueRange, 2>& bounds, double left)
      : panel_(panel), bounds_(bounds), left_(left) {}

  std::string draw() const {
    std::string dots_text = svg_text(left_, kTop - 10, "", panel_.title);
    std::vector<Label> labels;
    dots_text +=
        fmt::format("<rect class=\"grid\" x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\"/>\n",
                    left_, kTop, kSide, kSide);
    for (const MapDots& dots : panel_.dots) {
      std::vector<Place> places;
      for (const Place& place : dots.places) places.push_back({at(place, 0), at(place, 1)});
      dots_text += svg_dots(places, dots.style, dots.opacity);
      if (!dots.label.empty() && !places.empty()) labels.push_back(label_of(dots.label, places));
    }
    return dots_text + draw_apart(std::move(labels));
  }

 private:
  static constexpr double kHalfLabel = 24;

  struct Label {
    std::string text;
    double x, y;
  };

  /// Position of a place on an axis.
  double at(const Place& place, size_t axis) const {
    constexpr double kBorder = .02;
    const auto& [low, high] = bounds_[axis];
    const double part = high > low ? (place[axis] - low) / (high - low) : .5;
    return (axis == 0 ? left_ : kTop) + kSide * (kBorder + (1 - 2 * kBorder) * part);
  }

  /// A label in the middle of its dots, and within the panel.
  Label label_of(const std::string& label, const std::vector<Place>& places) const {
    std::vector<double> x, y;
    for (const Place& place : places) {
      x.push_back(place[0]);
      y.push_back(place[1]);
    }
    return {label, std::clamp(median(x), left_ + kHalfLabel, left_ + kSide - kHalfLabel),
            median(y) + 4};
  }

  /// Draws labels, each below those that it would cover.
  static std::string draw_apart(std::vector<Label> labels) {
    constexpr double kLine = 14;
    std::ranges::stable_sort(labels, {}, &Label::y);
    std::string text;
    for (size_t i = 0; i < labels.size(); ++i) {
      Label& label = labels[i];
      std::ranges::sort(labels.begin(), labels.begin() + static_cast<int64_t>(i), {}, &Label::y);
      for (size_t other = 0; other < i; ++other) {
        const bool covers = std::abs(labels[other].x - label.x) < 2 * kHalfLabel &&
                            std::abs(labels[other].y - label.y) < kLine;
        if (covers) label.y = labels[other].y + kLine;
      }
      text += svg_text(label.x, label.y, "label middle", label.text);
    }
    return text;
  }

  const MapPanel& panel_;
  const std::array<ValueRange, 2>& bounds_;
  double left_;
};

}  // namespace

std::string svg_maps(const std::string& title, const std::vector<MapPanel>& panels) {
  constexpr double kStep = kSide + kPictureMargin;
  const double width = kPictureMargin + kStep * static_cast<double>(panels.size());
  const std::array<ValueRange, 2> bounds = bounds_of(panels);
  LegendPlaces places(width, kTop + kSide + 30);
  std::string body, legend;
  std::set<std::string> entries;
  for (size_t p = 0; p < panels.size(); ++p) {
    body += MapDrawing(panels[p], bounds, kPictureMargin + kStep * static_cast<double>(p)).draw();
    for (const MapDots& dots : panels[p].dots) {
      if (dots.entry.empty() || dots.places.empty() || !entries.insert(dots.entry).second) continue;
      const auto [x, y] = places.next(dots.entry);
      legend += fmt::format("<g opacity=\"{:.2f}\">{}</g>", dots.entry_opacity,
                            svg_dot(x + 13, y - 4, dots.style)) +
                svg_text(x + kLegendLabel, y, "", dots.entry);
    }
  }
  return begin_svg(title, width, places.last_line() + 14) +
         svg_text(kPictureMargin, 24, "title", title) + body + legend + "</svg>\n";
}

}  // namespace derrd
