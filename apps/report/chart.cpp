#include "apps/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/report/markup.h"
#include "apps/report/picture.h"

namespace derrd {

namespace {

// In units of the SVG's view box.
constexpr double kPanelWidth = 460, kPanelHeight = 300;
constexpr double kLeft = 62, kRight = 16, kTop = 34, kBottom = 48;
constexpr double kHeading = 36;
constexpr size_t kColumns = 2;

/// 1, 2 or 5 times a power of ten, so that about five of them span `extent`.
double tick_distance(double extent) {
  const double power = std::pow(10, std::floor(std::log10(extent / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power * 5 >= extent * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

/// Digits behind the point that tell ticks apart.
int digits_of(double tick) {
  return std::max(0, static_cast<int>(std::ceil(-std::log10(tick) - 1e-9)));
}

/// Position of values between two ends of the picture.
class Scale {
 public:
  struct Tick {
    double at;
    std::string label;
  };

  Scale(const ChartAxis& axis, ValueRange range, double begin, double end)
      : begin_(begin), end_(end) {
    if (!axis.categories.empty()) {
      low_ = -.5;
      high_ = static_cast<double>(axis.categories.size()) - .5;
      for (size_t c = 0; c < axis.categories.size(); ++c) {
        add_tick(static_cast<double>(c), axis.categories[c]);
      }
      return;
    }
    if (range.empty()) range = {1, 10};  // nothing to show
    if (axis.logarithmic) {
      set_logarithmic(range);
      return;
    }
    if (axis.from_zero) range.add(0);
    if (range.high - range.low < 1e-12) range.high = range.low + std::max(1e-3, range.low * .01);
    const double tick = tick_distance(range.high - range.low);
    const double first = std::floor(range.low / tick + 1e-9);
    const double last = std::ceil(range.high / tick - 1e-9);
    low_ = first * tick;
    high_ = last * tick;
    for (double t = first; t <= last; ++t) {
      add_tick(t * tick, fmt::format("{:.{}f}", t * tick, digits_of(tick)));
    }
  }

  double at(double value) const {
    const double v = logarithmic_ ? std::log10(value) : value;
    return begin_ + (end_ - begin_) * (v - low_) / (high_ - low_);
  }
  const std::vector<Tick>& ticks() const { return ticks_; }

 private:
  void set_logarithmic(const ValueRange& range) {
    logarithmic_ = true;
    low_ = std::log10(range.low) - .04;
    high_ = std::log10(range.high) + .04;
    const bool many = high_ - low_ > 2;  // only powers of ten
    for (double power = std::floor(low_); power <= high_; ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double value = factor * std::pow(10, power);
        const double v = std::log10(value);
        if (v < low_ || v > high_ || (many && factor != 1)) continue;
        add_tick(value, fmt::format("{:.6g}", value));
      }
    }
  }
  void add_tick(double value, const std::string& label) { ticks_.push_back({at(value), label}); }

  double begin_, end_;
  double low_ = 0, high_ = 1;  // logarithms on a logarithmic axis
  bool logarithmic_ = false;
  std::vector<Tick> ticks_;
};

std::string vertical_error(double x, double top, double bottom) {
  return fmt::format(
      "<path class=\"error\" d=\"M{0:.1f} {1:.1f}V{2:.1f}M{3:.1f} {1:.1f}H{4:.1f}M"
      "{3:.1f} {2:.1f}H{4:.1f}\"/>\n",
      x, top, bottom, x - 3, x + 3);
}

/// The paper's figure.
std::string paper_ring(double x, double y) {
  return fmt::format("<circle class=\"paper\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n", x, y);
}

/// A panel whose upper left corner is at (left, top).
class PanelDrawing {
 public:
  PanelDrawing(const ChartPanel& panel, double left, double top)
      : panel_(panel),
        left_(left + kLeft),
        right_(left + kPanelWidth - kRight),
        top_(top + kTop),
        bottom_(top + kPanelHeight - kBottom),
        x_(panel.x, x_range(), left_, right_),
        y_(panel.y, y_range(), bottom_, top_) {}

  std::string draw() const {
    std::string text = axes();
    for (const ChartLevel& level : panel_.levels) {
      text += fmt::format("<path class=\"level c{}\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n",
                          level.style % kStyles, left_, y_.at(level.value), right_);
    }
    for (const ChartLine& line : panel_.lines) text += draw_line(line);
    return text + bars();
  }

 private:
  ValueRange x_range() const {
    ValueRange range;
    for (const ChartLine& line : panel_.lines) {
      for (const ChartPoint& point : line.points) range.add(point.x);
    }
    return range;
  }
  ValueRange y_range() const {
    ValueRange range;
    for (const ChartLine& line : panel_.lines) {
      for (const ChartPoint& point : line.points) {
        range.add(point.y - point.error);
        range.add(point.y + point.error);
      }
    }
    for (const ChartBar& bar : panel_.bars) {
      range.add(bar.value - bar.error);
      range.add(bar.value + bar.error);
      if (bar.paper) range.add(*bar.paper);
    }
    for (const ChartLevel& level : panel_.levels) range.add(level.value);
    // Bars start below the lowest of them, so that all can be seen.
    if (!panel_.bars.empty() && range.low < range.high) range.low -= .1 * (range.high - range.low);
    return range;
  }

  std::string axes() const {
    std::string text = svg_text(left_, top_ - 12, "", panel_.title);
    for (const auto& [at, label] : y_.ticks()) {
      text +=
          fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left_, at, right_);
      text += svg_text(left_ - 6, at + 4, "quiet end", label);
    }
    text +=
        fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", left_, bottom_, right_);
    for (const auto& [at, label] : x_.ticks()) {
      text += svg_text(at, bottom_ + 17, "quiet middle", label);
    }
    text += svg_text((left_ + right_) / 2, bottom_ + 36, "quiet middle", panel_.x.title);
    const double middle = (top_ + bottom_) / 2;
    return text + fmt::format(
                      "<text class=\"quiet middle\" transform=\"translate({:.1f} {:.1f}) "
                      "rotate(-90)\">{}</text>\n",
                      left_ - 46, middle, escaped(panel_.y.title));
  }

  std::string draw_line(const ChartLine& line) const {
    constexpr size_t kMaxPoints = 250;  // more can't be seen
    constexpr size_t kMaxDots = 12;     // more would hide the line
    const size_t step = std::max<size_t>(1, line.points.size() / kMaxPoints);
    const size_t dots = std::max<size_t>(1, line.points.size() / kMaxDots);
    // Dots of several lines don't lie above each other.
    const size_t first_dot = dots * (line.style % kStyles) / kStyles;
    std::string path, marks;
    for (size_t i = 0; i < line.points.size(); ++i) {
      const auto& [x, y, error] = line.points[i];
      if (i % step == 0 || i + 1 == line.points.size()) {
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x_.at(x), y_.at(y));
      }
      if (error > 0) marks += vertical_error(x_.at(x), y_.at(y + error), y_.at(y - error));
      if (i % dots == first_dot) marks += svg_dot(x_.at(x), y_.at(y), line.style);
    }
    return fmt::format("<path class=\"line c{}{}\" d=\"{}\"><title>{}</title></path>\n",
                       line.style % kStyles, line.published ? " published" : "", path,
                       escaped(line.label)) +
           marks;
  }

  std::string bars() const {
    std::vector<size_t> in_group(panel_.x.categories.size()), drawn(in_group.size());
    for (const ChartBar& bar : panel_.bars) ++in_group.at(bar.group);
    const double group_width = .8 * (right_ - left_) /
                               static_cast<double>(std::max<size_t>(1, panel_.x.categories.size()));
    std::string text;
    for (const ChartBar& bar : panel_.bars) {
      const double width = group_width / static_cast<double>(in_group[bar.group]);
      const double left = x_.at(static_cast<double>(bar.group)) - group_width / 2 +
                          width * static_cast<double>(drawn[bar.group]++);
      const double middle = left + width / 2;
      text += svg_bar({left + 1, y_.at(bar.value), left + width - 1, bottom_}, bar.style);
      if (bar.error > 0) {
        text += vertical_error(middle, y_.at(bar.value + bar.error), y_.at(bar.value - bar.error));
      }
      if (bar.paper) {
        text += paper_ring(middle, y_.at(*bar.paper));
      }
    }
    return text;
  }

  const ChartPanel& panel_;
  double left_, right_, top_, bottom_;
  Scale x_, y_;
};

/// Entry of the legend.
struct LegendEntry {
  std::string label;
  size_t style;
  enum Kind { kLine, kPublished, kBar, kLevel, kPaper } kind;
};

std::vector<LegendEntry> legend_of(const Chart& chart) {
  std::vector<LegendEntry> entries;
  const auto add = [&](const LegendEntry& entry) {
    const auto same = [&](const LegendEntry& other) { return other.label == entry.label; };
    if (std::ranges::none_of(entries, same)) entries.push_back(entry);
  };
  for (const ChartPanel& panel : chart.panels) {
    for (const ChartBar& bar : panel.bars) add({bar.label, bar.style, LegendEntry::kBar});
    for (const ChartLine& line : panel.lines) {
      add({line.label, line.style, line.published ? LegendEntry::kPublished : LegendEntry::kLine});
    }
    if (std::ranges::any_of(panel.bars,
                            [](const ChartBar& bar) { return bar.paper.has_value(); })) {
      add({"the paper's", 0, LegendEntry::kPaper});
    }
    for (const ChartLevel& level : panel.levels) {
      add({level.label, level.style, LegendEntry::kLevel});
    }
  }
  return entries;
}

std::string draw_entry(const LegendEntry& entry, double x, double y) {
  std::string text;
  if (entry.kind == LegendEntry::kBar) {
    text = svg_bar({x, y - 11, x + 24, y + 1}, entry.style);
  } else if (entry.kind == LegendEntry::kPaper) {
    text = paper_ring(x + 12, y - 4);
  } else {
    const bool level = entry.kind == LegendEntry::kLevel;
    text = fmt::format("<path class=\"{} c{}{}\" d=\"M{:.1f} {:.1f}h26\"/>\n",
                       level ? "level" : "line", entry.style % kStyles,
                       entry.kind == LegendEntry::kPublished ? " published" : "", x, y - 4);
    if (!level) text += svg_dot(x + 13, y - 4, entry.style);
  }
  return text + svg_text(x + kLegendLabel, y, "", entry.label);
}

}  // namespace

std::string svg(const Chart& chart) {
  const size_t columns = std::clamp<size_t>(chart.panels.size(), 1, kColumns);
  const size_t rows = (chart.panels.size() + columns - 1) / columns;
  const double width = kPanelWidth * static_cast<double>(columns);
  LegendPlaces places(width, kHeading + 16);
  std::string legend;
  for (const LegendEntry& entry : legend_of(chart)) {
    const auto [x, y] = places.next(entry.label);
    legend += draw_entry(entry, x, y);
  }
  const double top = places.last_line() + 10;
  std::string text =
      begin_svg(chart.title, width, top + kPanelHeight * static_cast<double>(rows) + 6);
  text += svg_text(kPictureMargin, 24, "title", chart.title) + legend;
  for (size_t i = 0; i < chart.panels.size(); ++i) {
    text += PanelDrawing(chart.panels[i], kPanelWidth * static_cast<double>(i % columns),
                         top + kPanelHeight * static_cast<double>(i / columns))
                .draw();
  }
  return text + "</svg>\n";
}

}  // namespace derrd
