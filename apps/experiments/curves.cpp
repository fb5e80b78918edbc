#include "apps/experiments/curves.h"

#include <fmt/format.h>

#include <utility>

#include "apps/experiments/published.h"

namespace derrd {

std::vector<Chart> learning_curves(const ReportScope& scope, const ReportResults& results,
                                   const std::string& data_set, const std::string& model) {
  const int split = scope.splits.front();
  std::vector<std::string> methods = {"teacher"};
  methods.insert(methods.end(), scope.methods.begin(), scope.methods.end());
  PublishedCurves published;
  if (model == "bpr") published = published_curves(data_set);  // there are none of NeuMF

  std::vector<Chart> charts;
  for (const auto& [what, values] :
       {std::pair{"Test", &LearningCurve::test}, {"Validation", &LearningCurve::valid}}) {
    Chart chart;
    chart.title = fmt::format("{} H@5: {}, split {}", what, setting_title(data_set, model), split);
    for (size_t i = 0; i < methods.size(); ++i) {
      const std::string& method = methods[i];
      const ExperimentRun* run = results.run({data_set, split, model, method, kPaperSize});
      if (run == nullptr) continue;
      std::vector<double> hits = read_curve(*run).*values;
      if (hits.empty()) continue;
      chart.series.push_back({title_of(method), i, false, std::move(hits)});
      const auto theirs = published.by_method.find(method);
      if (theirs == published.by_method.end()) continue;
      chart.series.push_back({title_of(method) + ", published", i, true, theirs->second.*values});
    }
    if (model == "bpr") {
      chart.note = published.by_method.empty()
                       ? "There are no published curves: " + published.source + "."
                       : "Dashed: the authors' logs of their own split, with other candidates, "
                         "from " +
                             published.source + ".";
    }
    if (!chart.series.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace derrd
