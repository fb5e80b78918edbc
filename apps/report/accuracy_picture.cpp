#include "apps/report/accuracy_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "apps/report/picture.h"

namespace derrd {

namespace {

// In units of the SVG's view box.
constexpr double kWidth = 720, kLeft = 110, kRight = 580, kTop = 72, kRowHeight = 30;
constexpr double kOursColumn = 640, kPaperColumn = 706;
constexpr double kTick = .02;  // of H@5

struct Line {
  std::string id, label;
  ReportFigure figure;
};

std::vector<Line> lines_of(const ReportTable& table) {
  const auto column = std::ranges::find(table.columns, "H@5") - table.columns.begin();
  std::vector<Line> lines;
  for (const ReportRow& row : table.rows) {
    if (column >= static_cast<std::ptrdiff_t>(row.figures.size())) continue;
    const ReportFigure& figure = row.figures[column];
    if (figure.style == FigureStyle::kMetric && figure.mean())
      lines.push_back({row.id, row.label, figure});
  }
  return lines;
}

/// The axis of H@5, from one tick to another.
class Axis {
 public:
  explicit Axis(const std::vector<Line>& lines) {
    double lowest = 1, highest = 0;
    for (const Line& line : lines) {
      const ReportFigure& figure = line.figure;
      const double mean = *figure.mean(), error = figure.error().value_or(0);
      lowest = std::min({lowest, mean - error, figure.paper.value_or(mean)});
      highest = std::max({highest, mean + error, figure.paper.value_or(mean)});
    }
    first_ = static_cast<int>(std::floor(lowest / kTick + 1e-9));
    last_ = std::max(first_ + 1, static_cast<int>(std::ceil(highest / kTick - 1e-9)));
  }
  double at(double value) const {
    return kLeft + (kRight - kLeft) * (value / kTick - first_) / (last_ - first_);
  }
  int first() const { return first_; }
  int last() const { return last_; }

 private:
  int first_, last_;
};

std::string vertical(const char* name, double x, double top, double bottom) {
  return fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>\n", name, x, top, bottom);
}

std::string marks(const ReportFigure& figure, const Axis& axis, double y) {
  std::string text;
  const double mean = *figure.mean();
  if (const auto error = figure.error()) {
    text += fmt::format("<path class=\"ours\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n",
                        axis.at(mean - *error), y, axis.at(mean + *error));
  }
  text += fmt::format("<circle class=\"ours\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n",
                      axis.at(mean), y);
  if (figure.paper) {
    text += fmt::format("<circle class=\"paper\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/>\n",
                        axis.at(*figure.paper), y);
  }
  return text;
}

std::string legend() {
  const double y = 44;
  return fmt::format("<circle class=\"ours\" cx=\"{}\" cy=\"{}\" r=\"4\"/>\n", kLeft, y - 4) +
         svg_text(kLeft + 12, y, "quiet", "ours, with its standard error") +
         fmt::format("<circle class=\"paper\" cx=\"{}\" cy=\"{}\" r=\"5\"/>\n", kLeft + 220,
                     y - 4) +
         svg_text(kLeft + 232, y, "quiet", "the paper's") +
         svg_text(kOursColumn, y, "quiet end", "ours") +
         svg_text(kPaperColumn, y, "quiet end", "paper");
}

}  // namespace

std::string accuracy_picture(const std::string& title, const ReportTable& table) {
  const std::vector<Line> lines = lines_of(table);
  const Axis axis(lines);
  const double bottom = kTop + kRowHeight * static_cast<double>(lines.size());
  const double height = bottom + 30;
  std::string text = begin_svg(title, kWidth, height);
  text += svg_text(14, 24, "title", title);
  text += legend();
  for (int tick = axis.first(); tick <= axis.last(); ++tick) {
    text += vertical("grid", axis.at(tick * kTick), kTop - 12, bottom);
    text += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"quiet\" text-anchor=\"middle\">{:.2f}</text>\n",
        axis.at(tick * kTick), bottom + 18, tick * kTick);
  }
  double y = kTop;
  for (const auto& [id, label, figure] : lines) {
    if (id == "student") text += vertical("level c1", axis.at(*figure.mean()), kTop - 12, bottom);
    text += svg_text(14, y + 8, "", label) + marks(figure, axis, y + 4);
    text +=
        svg_text(kOursColumn, y + 8, "end", format_figure(*figure.mean(), FigureStyle::kMetric));
    text += svg_text(kPaperColumn, y + 8, "quiet end", format_paper(figure));
    y += kRowHeight;
  }
  return text + "</svg>\n";
}

}  // namespace derrd
