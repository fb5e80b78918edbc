#include "apps/report/setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/joined.h"

namespace derrd {

namespace {

BySplit by_split(const Setting& setting, const TrainedMethod& method, const std::string& metric,
                 MetricValues TrainingResult::*items) {
  BySplit values;
  for (const int split : setting.scope.splits) {
    const auto* result = setting.results.training(setting.name(method, split));
    if (result == nullptr) continue;
    const auto found = (result->*items).find(metric);
    if (found != (result->*items).end()) values[split] = found->second;
  }
  return values;
}

}  // namespace

std::vector<double> values_of(const BySplit& by_split) {
  std::vector<double> values;
  for (const auto& [split, value] : by_split) values.push_back(value);
  return values;
}

BySplit Setting::test(const TrainedMethod& method, const std::string& metric) const {
  return by_split(*this, method, metric, &TrainingResult::test);
}
BySplit Setting::valid(const TrainedMethod& method, const std::string& metric) const {
  return by_split(*this, method, metric, &TrainingResult::valid);
}

ReportFigure Setting::figure(const TrainedMethod& method, const std::string& metric,
                             std::optional<double> paper) const {
  ReportFigure figure{FigureStyle::kMetric, values_of(test(method, metric)), paper};
  if (scope.splits.size() == 1) {
    figure.user_error = results.user_error(name(method, scope.splits.front()), metric);
  }
  return figure;
}

std::optional<double> Setting::mean_test(const TrainedMethod& method,
                                         const std::string& metric) const {
  const BySplit values = test(method, metric);
  return values.empty() ? std::nullopt : std::optional(mean(values_of(values)));
}

std::optional<TrainedMethod> Setting::best_of(const std::vector<TrainedMethod>& methods) const {
  std::vector<BySplit> hits;
  std::set<int> splits;  // of any method
  for (const TrainedMethod& method : methods) {
    hits.push_back(test(method, "H@5"));
    for (const auto& [split, hit] : hits.back()) splits.insert(split);
  }
  std::optional<TrainedMethod> best;
  double highest = 0;
  for (size_t m = 0; m < methods.size(); ++m) {
    if (splits.empty() || hits[m].size() < splits.size()) continue;
    const double hit = mean(values_of(hits[m]));
    if (best && hit <= highest) continue;
    best = methods[m];
    highest = hit;
  }
  return best;
}

PublishedRow Setting::published(int table, const std::string& row) const {
  return published_row({table, source.name, model, row});
}

std::optional<PairedTest> Setting::compare(const TrainedMethod& a, const TrainedMethod& b) const {
  const BySplit of_a = test(a, "H@5"), of_b = test(b, "H@5");
  std::vector<double> pairs_a, pairs_b;
  for (const auto& [split, value] : of_a) {
    if (!of_b.contains(split)) continue;
    pairs_a.push_back(value);
    pairs_b.push_back(of_b.at(split));
  }
  return paired_t_test(pairs_a, pairs_b);
}

std::string Setting::best_competitor() const {
  std::vector<TrainedMethod> methods;
  for (const std::string& method : competitors()) methods.push_back({method});
  const auto best = best_of(methods);
  return best ? best->method : "";
}

size_t Setting::style_of(const std::string& method) const {
  const auto place = [&](const std::vector<std::string>& methods) {
    return static_cast<size_t>(std::ranges::find(methods, method) - methods.begin());
  };
  std::vector<std::string> shown = {"teacher"};
  shown.insert(shown.end(), scope.methods.begin(), scope.methods.end());
  static const std::vector<std::string> papers = {"teacher", "student", "rd",    "cd",
                                                  "de",      "rrd",     "de-rrd"};
  return place(shown) < shown.size() ? place(shown) : place(papers);
}

std::vector<double> Setting::shares(const TrainedMethod& method) const {
  std::vector<double> shares;
  for (const int split : scope.splits) {
    const TrainingResult* result = results.training(name(method, split));
    if (result == nullptr) continue;
    for (const auto& [loss, share] : result->shares) shares.push_back(share);
  }
  return shares;
}

ReportRow Setting::accuracy_row(int table, const std::string& method,
                                const std::vector<std::string>& metrics) const {
  const PublishedRow paper = published(table, method);
  ReportRow row{method, title_of(method), "", paper.marks, {}};
  for (const std::string& metric : metrics) {
    row.figures.push_back(figure({method}, metric, paper.figure(metric)));
  }
  return row;
}

ReportTable Setting::titled(const std::string& what) const {
  ReportTable table;
  table.data_set = source.name;
  table.model = model;
  table.title = fmt::format("{}: {}", what, setting_title(source.name, model));
  return table;
}

void Setting::note_splits(ReportTable& table) const {
  const bool single = scope.splits.size() == 1;
  table.notes.push_back(fmt::format(
      "{} ± standard error over {}; {}: the paper's figure lies outside two standard errors.",
      single ? "Figure" : "Mean", errors_over(), kOutsideMark));
  for (const ReportRow& row : table.rows) {
    const size_t trained = row.figures.empty() ? 0 : row.figures.front().values.size();
    if (trained < scope.splits.size()) {
      table.notes.push_back(fmt::format("{}: {} of {} splits, the others failed.", row.label,
                                        trained, scope.splits.size()));
    }
  }
}

std::string Setting::errors_over() const {
  return scope.splits.size() == 1 ? fmt::format("the users of split {}", scope.splits.front())
                                  : fmt::format("splits {}", joined(scope.splits));
}

const std::vector<std::string>& competitors() {
  static const std::vector<std::string> methods = {"rd", "cd"};
  return methods;
}

std::string title_of(const std::string& method) {
  static const std::map<std::string, std::string> titles = {
      {"teacher", "Teacher"},
      {"student", "Student"},
      {"rd", "RD"},
      {"cd", "CD"},
      {"cd-deep", "CD (deep list)"},
      {"de", "DE"},
      {"rrd", "RRD"},
      {"de-rrd", "DE-RRD"},
      {"ir-rrd", "IR-RRD"},
      {"de-attention", "(a) Attention"},
      {"de-one-large", "(b) One expert (large)"},
      {"de-one-small", "(c) One expert (small)"},
      {"rrd-full", "(d) Full ranking"},
      {"rrd-interesting", "(e) Interesting ranking"}};
  const auto found = titles.find(method);
  return found == titles.end() ? method : found->second;
}

std::string title_of(const TrainedMethod& method) {
  std::string title = title_of(method.method);
  if (method.size != kPaperSize) title += fmt::format(", φ = {:g}", method.size);
  for (const auto& [option, value] : method.changes)
    title += fmt::format(", {} = {}", option, value);
  return title;
}

std::string title_of_data_set(const std::string& name) {
  if (name == "citeulike") return "CiteULike";
  if (name == "foursquare") return "Foursquare";
  return name;
}

std::string title_of_model(const std::string& name) {
  if (name == "bpr") return "BPR";
  if (name == "neumf") return "NeuMF";
  return name;
}

std::string setting_title(const std::string& data_set, const std::string& model) {
  return title_of_data_set(data_set) + ", " + title_of_model(model);
}

void add_training(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                  const TrainingName& name) {
  if (scope.splits.size() == 1) {
    plan.user_metrics(source, name);
  } else {
    plan.training(source, name);
  }
}

void add_trainings(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                   const std::string& model, const TrainedMethod& method) {
  for (const int split : scope.splits) {
    add_training(plan, scope, source, method.on(source.name, model, split));
  }
}

}  // namespace derrd
