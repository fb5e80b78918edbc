#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "apps/report/chart.h"
#include "apps/report/parts/parts.h"
#include "apps/report/sweeps.h"

namespace derrd {

namespace {

/// Figure 7: effects of the hyperparameters of DE and RRD; beside it, H\@5 over the losses' shares.
class HyperparametersFigure final : public ReportPart {
 public:
  std::string name() const override { return "figure7"; }
  std::vector<std::string> pictures() const override { return {"figure7"}; }
  std::vector<std::string> methods(const ReportScope&) const override {
    return {"student", "de", "rrd"};
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    add_trainings(plan, scope, source, model, {"student"});
    for (const Sweep& sweep : sweeps()) {
      for (const std::string& value : sweep.values) {
        add_trainings(plan, scope, source, model, sweep.at(value));
      }
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

ChartPanel sweep_panel(const Setting& setting, const Sweep& sweep) {
  ChartPanel panel;
  panel.title = title_of(sweep.method);
  panel.x.title = sweep.title;
  panel.x.categories = {"0"};
  panel.x.categories.insert(panel.x.categories.end(), sweep.values.begin(), sweep.values.end());
  panel.y.title = "H@5";
  ChartLine line{title_of(sweep.method), setting.style_of(sweep.method)};
  const auto add = [&](const TrainedMethod& method, double x) {
    const ReportFigure hits = setting.figure(method, "H@5");
    if (hits.mean()) line.points.push_back({x, *hits.mean(), hits.error().value_or(0)});
  };
  add({"student"}, 0);
  for (size_t i = 0; i < sweep.values.size(); ++i) {
    add(sweep.at(sweep.values[i]), static_cast<double>(i + 1));
  }
  if (!line.points.empty()) panel.lines.push_back(std::move(line));
  return panel;
}

/// H\@5 over the share of a method's loss, whose weight the sweep varies.
ChartPanel share_panel(const Setting& setting, const Sweep& sweep) {
  ChartPanel panel;
  panel.title = fmt::format("{}: share of its loss at the best epoch", title_of(sweep.method));
  panel.x = {.title = "weighted loss / base loss", .logarithmic = true};
  panel.y.title = "H@5";
  ChartLine line{title_of(sweep.method), setting.style_of(sweep.method)};
  for (const std::string& value : sweep.values) {
    const std::vector<double> shares = setting.shares(sweep.at(value));
    const ReportFigure hits = setting.figure(sweep.at(value), "H@5");
    if (!hits.mean() || shares.empty() || mean(shares) <= 0) continue;
    line.points.push_back({mean(shares), *hits.mean(), hits.error().value_or(0)});
  }
  std::ranges::sort(line.points, {}, &ChartPoint::x);
  if (!line.points.empty()) panel.lines.push_back(std::move(line));
  return panel;
}

std::vector<ReportSection> HyperparametersFigure::sections_of(const Setting& setting) const {
  Chart chart;
  chart.title = "Figure 7: hyperparameters: " + setting_title(setting.source.name, setting.model);
  ReportTable table = setting.titled("Figure 7 in figures");
  table.first_column = "Option";
  table.columns = {"H@5", "validation H@5", "share of the base loss"};
  const auto add_row = [&](const TrainedMethod& method, const std::string& id,
                           const std::string& label) {
    table.rows.push_back({id,
                          label,
                          "",
                          "",
                          {setting.figure(method, "H@5"),
                           {FigureStyle::kMetric, values_of(setting.valid(method, "H@5")), {}},
                           {FigureStyle::kNumber, setting.shares(method), {}}}});
  };
  add_row({"student"}, "student", title_of("student"));
  for (const Sweep& sweep : sweeps()) {
    chart.panels.push_back(sweep_panel(setting, sweep));
    for (const std::string& value : sweep.values) {
      const std::string option = sweep.name() + "=" + value;
      add_row(sweep.at(value), std::string(sweep.method) + " " + option,
              fmt::format("{}, {}", title_of(sweep.method), option));
    }
  }
  chart.panels.push_back(share_panel(setting, de_weights()));
  chart.panels.push_back(share_panel(setting, rrd_weights()));
  if (const auto student = setting.mean_test({"student"}, "H@5")) {
    for (ChartPanel& panel : chart.panels) {
      panel.levels.push_back({title_of("student"), setting.style_of("student"), *student});
    }
  }
  setting.note_splits(table);
  table.notes.emplace_back(
      "One option varies, the others are the recipe's. The paper draws the figure for Foursquare "
      "without printing its values, and finds 10 to 20 experts and K of 30 to 40 best, and a share "
      "of 20 % (BPR) or 2 to 5 % (NeuMF) for DE, of 7 to 10 % or 1000 % for RRD.");
  return {Picture{"figure7", setting.source.name, setting.model, chart.title, svg(chart),
                  fmt::format("Whiskers: standard errors over {}. Dotted: the student alone.",
                              setting.errors_over())},
          table};
}

}  // namespace

std::unique_ptr<ReportPart> make_figure7() { return std::make_unique<HyperparametersFigure>(); }

}  // namespace derrd
