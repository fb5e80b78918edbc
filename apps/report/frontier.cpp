#include "apps/report/frontier.h"

#include <algorithm>
#include <optional>

#include "apps/report/setting.h"

namespace derrd {

namespace {

std::optional<double> figure_in(const ReportTable& table, const ReportRow& row,
                                const std::string& column) {
  const auto place = std::ranges::find(table.columns, column) - table.columns.begin();
  return row.figures.at(static_cast<size_t>(place)).mean();
}

}  // namespace

std::vector<FrontierLine> frontier_lines(const ReportTable& sizes) {
  std::vector<FrontierLine> lines;
  for (const ReportRow& row : sizes.rows) {
    const size_t end = row.id.find(" phi-");
    if (end == std::string::npos) continue;
    const std::string method = row.id.substr(0, end);
    auto line = std::ranges::find(lines, method, &FrontierLine::method);
    if (line == lines.end()) line = lines.insert(lines.end(), {method, {}});
    const auto hit = figure_in(sizes, row, "H@5"), millions = figure_in(sizes, row, "parameters");
    if (hit && millions) line->points.push_back({*millions, *hit});
  }
  return lines;
}

std::string frontier_picture(const std::string& title, const ReportTable& sizes) {
  ChartPanel panel;
  panel.x = {.title = "parameters of the model, millions", .logarithmic = true};
  panel.y.title = "H@5";
  size_t style = 0;  // the teacher's, as in all charts
  for (const auto& [method, points] : frontier_lines(sizes)) {
    ++style;
    if (points.empty()) continue;
    panel.lines.push_back({.label = title_of(method), .style = style, .points = points});
  }
  const auto teacher = std::ranges::find(sizes.rows, "teacher", &ReportRow::id);
  if (teacher != sizes.rows.end()) {
    if (const auto hit = figure_in(sizes, *teacher, "H@5")) {
      panel.levels = {{.label = title_of("teacher"), .style = 0, .value = *hit}};
    }
  }
  return svg({title, {panel}});
}

}  // namespace derrd
