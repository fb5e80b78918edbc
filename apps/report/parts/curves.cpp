#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/report/chart.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// Part of its highest value at which a curve begins. Curves differ little in their first epochs,
/// and would leave no height for the others.
constexpr double kShownFrom = 2. / 3;

std::vector<ChartPoint> points_of(const std::vector<double>& values) {
  const double begin = kShownFrom * std::ranges::max(values);
  std::vector<ChartPoint> points;
  for (size_t epoch = 0; epoch < values.size(); ++epoch) {
    if (points.empty() && values[epoch] < begin) continue;
    points.push_back({static_cast<double>(epoch), values[epoch]});
  }
  return points;
}

/// Learning curves: every method's validation and test H\@5 on the first split, with the published
/// curves where there are any.
class LearningCurves final : public ReportPart {
 public:
  std::string name() const override { return "curves"; }
  std::vector<std::string> pictures() const override { return {"curves"}; }
  void add_runs(RunPlan&, const ReportScope&, const DataSource&,
                const std::string&) const override {}

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

std::vector<ReportSection> LearningCurves::sections_of(const Setting& setting) const {
  const int split = setting.scope.splits.front();
  std::vector<std::string> methods = {"teacher"};
  methods.insert(methods.end(), setting.scope.methods.begin(), setting.scope.methods.end());
  PublishedCurves published;
  // There are none of NeuMF.
  if (setting.model == "bpr") published = published_curves(setting.source.name);

  Chart chart;
  chart.title = fmt::format("Learning curves: {}, split {}",
                            setting_title(setting.source.name, setting.model), split);
  for (const auto& [items, values] :
       {std::pair{"test", &LearningCurve::test}, {"validation", &LearningCurve::valid}}) {
    ChartPanel panel;
    panel.title = fmt::format("{} items", items);
    panel.x.title = "epoch";
    panel.y.title = fmt::format("H@5 of {} items", items);
    for (const std::string& method : methods) {
      const ExperimentRun* run = setting.results.run(setting.name({method}, split));
      if (run == nullptr) continue;
      const std::vector<double> hits = read_curve(*run).*values;
      if (hits.empty()) continue;
      panel.lines.push_back({title_of(method), setting.style_of(method), false, points_of(hits)});
      const auto theirs = published.by_method.find(method);
      if (theirs == published.by_method.end()) continue;
      panel.lines.push_back({title_of(method) + ", published", setting.style_of(method), true,
                             points_of(theirs->second.*values)});
    }
    if (!panel.lines.empty()) chart.panels.push_back(std::move(panel));
  }
  if (chart.panels.empty()) return {};
  std::string note = "Curves begin at two thirds of their highest value.";
  if (setting.model == "bpr") {
    note += published.by_method.empty()
                ? " There are no published curves: " + published.source + "."
                : " Dashed: the authors' logs of their own split, with other candidates, from " +
                      published.source + ".";
  }
  return {Picture{"curves", setting.source.name, setting.model, chart.title, svg(chart), note}};
}

}  // namespace

std::unique_ptr<ReportPart> make_curves() { return std::make_unique<LearningCurves>(); }

}  // namespace derrd
