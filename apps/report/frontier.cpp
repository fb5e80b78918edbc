#include "apps/report/frontier.h"

#include "apps/report/setting.h"

namespace derrd {

std::string frontier_picture(const std::string& title, const std::vector<FrontierLine>& lines,
                             std::optional<double> teacher) {
  ChartPanel panel;
  panel.x = {.title = "parameters of the model, millions", .logarithmic = true};
  panel.y.title = "H@5";
  size_t style = 0;  // the teacher's
  for (const auto& [method, points] : lines) {
    ++style;
    if (points.empty()) continue;
    panel.lines.push_back({.label = title_of(method), .style = style, .points = points});
  }
  if (teacher) panel.levels = {{.label = title_of("teacher"), .style = 0, .value = *teacher}};
  return svg({title, {panel}});
}

}  // namespace derrd
