#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/report/chart.h"
#include "apps/report/frontier.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// Dimensions of students as parts of the teacher's, rising.
constexpr double kSizes[] = {0.1, 0.5, 1.0};
constexpr double kTargets[] = {.95, .98, 1.0};

/// Figure 4: accuracy of all methods for students of three sizes; beside it, H\@5 over the number
/// of parameters, and how many of these reach the teacher.
class StudentSizesFigure final : public ReportPart {
 public:
  std::string name() const override { return "figure4"; }
  std::vector<std::string> pictures() const override { return {"figure4", "frontier"}; }
  std::vector<std::string> methods(const ReportScope& scope) const override {
    return scope.methods;
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    add_trainings(plan, scope, source, model, {"teacher"});
    for (const double size : kSizes) {
      for (const std::string& method : scope.methods) {
        add_trainings(plan, scope, source, model, {method, size});
      }
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

/// A metric, with the paper's figure where it prints one.
ReportFigure figure_of(const Setting& setting, const TrainedMethod& method,
                       const std::string& metric) {
  return setting.figure(method, metric,
                        method.size == kPaperSize
                            ? setting.published(2, method.method).figure(metric)
                            : std::nullopt);
}

ChartPanel bars_panel(const Setting& setting, const std::string& metric) {
  ChartPanel panel;
  panel.title = metric;
  panel.x.title = "φ, the student's dimension / the teacher's";
  panel.y.title = metric;
  for (size_t s = 0; s < std::size(kSizes); ++s) {
    panel.x.categories.push_back(fmt::format("{:.1f}", kSizes[s]));
    for (const std::string& method : setting.scope.methods) {
      const ReportFigure figure = figure_of(setting, {method, kSizes[s]}, metric);
      if (!figure.mean()) continue;
      panel.bars.push_back({title_of(method), setting.style_of(method), s, *figure.mean(),
                            figure.error().value_or(0), figure.paper});
    }
  }
  if (const auto teacher = setting.mean_test({"teacher"}, metric)) {
    panel.levels.push_back({title_of("teacher"), setting.style_of("teacher"), *teacher});
  }
  return panel;
}

/// Parameters in millions; none if no split was trained.
std::optional<double> millions_of(const Setting& setting, const TrainedMethod& method) {
  for (const int split : setting.scope.splits) {
    const TrainingResult* result = setting.results.training(setting.name(method, split));
    if (result != nullptr) return result->parameters / 1e6;
  }
  return std::nullopt;
}

/// The students of each method that were trained, by their size.
std::vector<FrontierLine> frontier_of(const Setting& setting) {
  std::vector<FrontierLine> lines;
  for (const std::string& method : setting.scope.methods) {
    FrontierLine& line = lines.emplace_back(FrontierLine{method, {}});
    for (const double size : kSizes) {
      const auto hit = setting.mean_test({method, size}, "H@5");
      const auto millions = millions_of(setting, {method, size});
      if (hit && millions) line.points.push_back({*millions, *hit});
    }
  }
  return lines;
}

/// The parameters at which a method reaches a level: between two sizes linear in their logarithm.
/// None if it reaches it at no size.
std::optional<double> parameters_for(const std::vector<ChartPoint>& points, double level) {
  for (size_t i = 0; i < points.size(); ++i) {
    if (points[i].y < level) continue;
    if (i == 0) return points[0].x;
    const ChartPoint &a = points[i - 1], &b = points[i];
    const double part = (level - a.y) / (b.y - a.y);
    return std::exp(std::log(a.x) + part * (std::log(b.x) - std::log(a.x)));
  }
  return std::nullopt;
}

ReportTable sizes_table(const Setting& setting) {
  ReportTable table = setting.titled("Figure 4 in figures");
  table.first_column = "φ, method";
  table.columns = {"H@5", "N@5", "parameters"};
  const auto add_row = [&](const std::string& id, const std::string& label,
                           const TrainedMethod& trained) {
    table.rows.push_back({id,
                          label,
                          "",
                          "",
                          {figure_of(setting, trained, "H@5"), figure_of(setting, trained, "N@5"),
                           one_figure(FigureStyle::kMillions, millions_of(setting, trained))}});
  };
  add_row("teacher", title_of("teacher"), {"teacher"});
  for (const double size : kSizes) {
    for (const std::string& method : setting.scope.methods) {
      add_row(fmt::format("{} phi-{}", method, size),
              fmt::format("{:.1f}, {}", size, title_of(method)), {method, size});
    }
  }
  setting.note_splits(table);
  table.notes.emplace_back(
      "The paper prints figures for φ = 0.1 (Table 2), and bars for the rest.");
  return table;
}

ReportTable reached_table(const Setting& setting, const std::vector<FrontierLine>& lines,
                          double teacher) {
  ReportTable table = setting.titled("Parameters that reach the teacher's H@5");
  table.first_column = "Method";
  for (const double target : kTargets) {
    table.columns.push_back(fmt::format("{:.0f} % of it", 100 * target));
  }
  for (const auto& [method, points] : lines) {
    ReportRow row{method, title_of(method), "", "", {}};
    for (const double target : kTargets) {
      ReportFigure figure{FigureStyle::kMillions, {}, {}};
      if (const auto reached = parameters_for(points, target * teacher)) {
        // Even the smallest student may be beyond it.
        if (*reached <= points.front().x) {
          figure = words(fmt::format("≤ {:.2f}M", *reached));
        } else {
          figure.values = {*reached};
        }
      }
      row.figures.push_back(figure);
    }
    table.rows.push_back(std::move(row));
  }
  table.notes.emplace_back(
      "Between two sizes H@5 is taken to be linear in the parameters' logarithm; –: no size "
      "reaches it.");
  return table;
}

std::vector<ReportSection> StudentSizesFigure::sections_of(const Setting& setting) const {
  const std::string where = setting_title(setting.source.name, setting.model);
  const auto picture = [&](const char* name, const std::string& title, const std::string& svg,
                           const std::string& note) {
    return Picture{name, setting.source.name, setting.model, title, svg, note};
  };
  Chart chart;
  chart.title = "Figure 4: three sizes: " + where;
  for (const char* metric : {"H@5", "N@5"}) chart.panels.push_back(bars_panel(setting, metric));
  const std::string title = "H@5 over parameters: " + where;
  const std::vector<FrontierLine> lines = frontier_of(setting);
  const auto teacher = setting.mean_test({"teacher"}, "H@5");
  std::vector<ReportSection> sections = {
      picture("figure4", chart.title, svg(chart),
              fmt::format("Bars do not start at 0. Whiskers: standard errors over {}; rings: the "
                          "paper's figures of Table 2; dotted: the teacher.",
                          setting.errors_over())),
      picture("frontier", title, frontier_picture(title, lines, teacher),
              "The same students by their size; dotted: the teacher."),
      sizes_table(setting)};
  if (teacher) sections.emplace_back(reached_table(setting, lines, *teacher));
  return sections;
}

}  // namespace

std::unique_ptr<ReportPart> make_figure4() { return std::make_unique<StudentSizesFigure>(); }

}  // namespace derrd
