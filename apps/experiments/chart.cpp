#include "apps/experiments/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/experiments/markup.h"

namespace derrd {

namespace {

// In units of the SVG's view box.
constexpr double kWidth = 720, kHeight = 360;
constexpr double kLeft = 52, kRight = 12, kTop = 12, kBottom = 40;

/// 1, 2 or 5 times a power of ten, so that about five of them reach `top`.
double tick_distance(double top) {
  const double power = std::pow(10, std::floor(std::log10(top / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power * 5 >= top) return factor * power;
  }
  return 10 * power;
}

/// An axis from 0 to a multiple of the distance of its ticks.
struct Axis {
  explicit Axis(double largest)
      : tick(tick_distance(largest)), end(tick * std::ceil(largest / tick - 1e-9)) {}
  int ticks() const { return static_cast<int>(std::lround(end / tick)); }
  double tick, end;
};

std::string path_of(const std::vector<double>& values, const Axis& x, const Axis& y) {
  constexpr size_t kMaxPoints = 250;  // more can't be seen
  const size_t step = std::max<size_t>(1, values.size() / kMaxPoints);
  std::string path;
  for (size_t epoch = 0; epoch < values.size(); ++epoch) {
    if (epoch % step != 0 && epoch + 1 != values.size()) continue;
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L",
                        kLeft + (kWidth - kLeft - kRight) * static_cast<double>(epoch) / x.end,
                        kHeight - kBottom - (kHeight - kTop - kBottom) * values[epoch] / y.end);
  }
  return path;
}

std::string axes(const Axis& x, const Axis& y) {
  std::string text;
  for (int i = 0; i <= y.ticks(); ++i) {
    const double at = kHeight - kBottom - (kHeight - kTop - kBottom) * i / y.ticks();
    text += fmt::format("<path class=grid d=\"M{} {:.1f}H{}\"/>", kLeft, at, kWidth - kRight);
    text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=end>{:.{}f}</text>\n", kLeft - 6,
                        at + 4, i * y.tick, y.tick < 0.1 ? 2 : 1);
  }
  for (int i = 0; i <= x.ticks(); ++i) {
    const double at = kLeft + (kWidth - kLeft - kRight) * i / x.ticks();
    text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=middle>{:.6g}</text>\n", at,
                        kHeight - kBottom + 18, i * x.tick);
  }
  return text + fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=end>epoch</text>\n",
                            kWidth - kRight, kHeight - 4);
}

}  // namespace

std::string svg(const Chart& chart) {
  double epochs = 1, highest = 0.01;
  for (const ChartSeries& series : chart.series) {
    epochs = std::max(epochs, static_cast<double>(series.values.size()) - 1);
    for (const double value : series.values) highest = std::max(highest, value);
  }
  const Axis x(epochs), y(highest);
  std::string text = fmt::format("<svg viewBox=\"0 0 {} {}\" role=img aria-label=\"{}\">\n", kWidth,
                                 kHeight, escaped(chart.title));
  text += axes(x, y);
  for (const ChartSeries& series : chart.series) {
    text += fmt::format("<path class=\"line c{}{}\" d=\"{}\"><title>{}</title></path>\n",
                        series.color % kChartColors, series.published ? " published" : "",
                        path_of(series.values, x, y), escaped(series.label));
  }
  return text + "</svg>\n";
}

}  // namespace derrd
