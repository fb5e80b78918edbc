#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apps/report/accuracy_picture.h"
#include "apps/report/parts/parts.h"

namespace derrd {

namespace {

/// In the order of Table 2.
const std::vector<std::string> kMetrics = {"H@5",  "M@5",  "N@5",  "H@10", "M@10",
                                           "N@10", "H@20", "M@20", "N@20"};

/// (value / base - 1) in percent.
std::optional<double> improvement(std::optional<double> value, std::optional<double> base) {
  if (!value || !base || *base == 0) return std::nullopt;
  return 100 * (*value / *base - 1);
}

std::optional<double> larger(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}

ReportRow improvement_row(const Setting& setting, const std::string& label,
                          const std::vector<std::string>& bases) {
  ReportRow row{label, label, "", "", {}};
  const std::string best = "de-rrd";
  for (const std::string& metric : kMetrics) {
    std::optional<double> ours, paper;
    for (const std::string& base : bases) {
      ours = larger(ours, setting.mean_test({base}, metric));
      paper = larger(paper, setting.published(2, base).figure(metric));
    }
    ReportFigure figure{FigureStyle::kPercent, {}, std::nullopt};
    figure.paper = improvement(setting.published(2, best).figure(metric), paper);
    if (const auto value = improvement(setting.mean_test({best}, metric), ours)) {
      figure.values = {*value};
    }
    row.figures.push_back(figure);
  }
  return row;
}

/// Against whom the paper tests a method; empty: against nobody.
std::string tested_against(const std::string& method, const std::string& competitor) {
  if (method == "teacher" || method == "student") return "";
  if (std::ranges::find(competitors(), method) != competitors().end()) return "";
  return method == "de" ? "student" : competitor;
}

ReportTable tests_table(const Setting& setting, const std::string& competitor) {
  ReportTable table = setting.titled("Paired t-tests on H@5");
  table.first_column = "Method";
  std::vector<std::string> others;
  if (!competitor.empty()) others.push_back(competitor);
  others.emplace_back("student");
  for (const std::string& other : others) {
    for (const char* figure : {"difference", "t", "p"}) {
      table.columns.push_back(fmt::format("{} to {}", figure, title_of(other)));
    }
  }
  for (const std::string& method : setting.scope.methods) {
    if (method == "student") continue;
    ReportRow row{method, title_of(method), "", "", {}};
    for (const std::string& other : others) {
      const auto test = method == other ? std::nullopt : setting.compare({method}, {other});
      row.figures.push_back(
          one_figure(FigureStyle::kMetric, test ? std::optional(test->difference) : std::nullopt));
      row.figures.push_back(one_figure(FigureStyle::kNumber, test ? test->t : std::nullopt));
      row.figures.push_back(one_figure(FigureStyle::kNumber, test ? test->p : std::nullopt));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes.emplace_back(
      "Pairs are splits; p is two-sided; no t where all splits differ by the same.");
  return table;
}

/// Table 2: accuracy of all methods. Several splits have a table of the t-tests behind the
/// asterisks, too.
class AccuracyTable final : public ReportPart {
 public:
  std::string name() const override { return "table2"; }
  std::vector<std::string> pictures() const override { return {"table2"}; }
  std::vector<std::string> methods(const ReportScope& scope) const override {
    return scope.methods;
  }
  void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                const std::string& model) const override {
    for (const int split : scope.splits) {
      add_training(plan, scope, source, {source.name, split, model, "teacher"});
      for (const std::string& method : scope.methods) {
        add_training(plan, scope, source, {source.name, split, model, method});
      }
    }
  }

 protected:
  std::vector<ReportSection> sections_of(const Setting& setting) const override;
};

std::vector<ReportSection> AccuracyTable::sections_of(const Setting& setting) const {
  ReportTable table = setting.titled("Table 2: accuracy");
  table.first_column = "Method";
  table.columns = kMetrics;
  const std::string competitor = setting.best_competitor();
  std::vector<std::string> methods = {"teacher"};
  methods.insert(methods.end(), setting.scope.methods.begin(), setting.scope.methods.end());
  for (const std::string& method : methods) {
    ReportRow row = setting.accuracy_row(2, method, kMetrics);
    const std::string other = tested_against(method, competitor);
    const auto test = other.empty() ? std::nullopt : setting.compare({method}, {other});
    if (test && test->p && test->difference > 0) row.marks = asterisks(*test->p);
    table.rows.push_back(std::move(row));
  }
  setting.note_splits(table);
  if (std::ranges::find(setting.scope.methods, "de-rrd") != setting.scope.methods.end()) {
    if (!competitor.empty()) {
      table.rows.push_back(improvement_row(setting, "Improv.b", competitors()));
    }
    table.rows.push_back(improvement_row(setting, "Improv.s", {"student"}));
    table.notes.emplace_back(
        "Improv.b, Improv.s: how much higher DE-RRD is than the better one of RD and CD, and than "
        "Student; the paper's are computed from its printed figures.");
  }
  const bool tested = setting.scope.splits.size() > 1;
  if (tested) {
    table.notes.push_back(fmt::format(
        "*, **, ***, ****: H@5 is higher with p at most .05, .005, .0005, .00005 in a paired "
        "t-test over the splits: DE against Student, the others against {}.",
        competitor.empty() ? "the better one of RD and CD, which were not trained"
                           : title_of(competitor) + ", the better competitor"));
  }
  const std::string title = setting.titled("Table 2, H@5").title;
  Picture picture{
      "table2", setting.source.name, setting.model, title, accuracy_picture(title, table), ""};
  std::vector<ReportSection> sections = {std::move(table), std::move(picture)};
  if (tested) sections.emplace_back(tests_table(setting, competitor));
  return sections;
}

}  // namespace

std::unique_ptr<ReportPart> make_table2() { return std::make_unique<AccuracyTable>(); }

}  // namespace derrd
