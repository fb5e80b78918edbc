#include "apps/experiments/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "apps/experiments/published.h"
#include "apps/experiments/statistics.h"
#include "data/joined.h"

namespace derrd {

namespace {

/// In the order of Table 2.
const std::vector<std::string> kMetrics = {"H@5",  "M@5",  "N@5",  "H@10", "M@10",
                                           "N@10", "H@20", "M@20", "N@20"};
const std::vector<std::string> kCompetitors = {"rd", "cd"};

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

/// The values of a method by split.
using BySplit = std::map<int, double>;

std::vector<double> values_of(const BySplit& by_split) {
  std::vector<double> values;
  for (const auto& [split, value] : by_split) values.push_back(value);
  return values;
}

/// A data set and a base model.
struct Setting {
  const ReportScope& scope;
  const ReportResults& results;
  const std::string& data_set;
  const std::string& model;

  BySplit test(const std::string& method, const std::string& metric,
               double size = kPaperSize) const {
    BySplit values;
    for (const int split : scope.splits) {
      const auto* result = results.training({data_set, split, model, method, size});
      if (result == nullptr) continue;
      const auto found = result->test.find(metric);
      if (found != result->test.end()) values[split] = found->second;
    }
    return values;
  }
  std::optional<double> mean_test(const std::string& method, const std::string& metric) const {
    const BySplit values = test(method, metric);
    return values.empty() ? std::nullopt : std::optional(mean(values_of(values)));
  }
  PublishedRow published(int table, const std::string& row) const {
    return published_row({table, data_set, model, row});
  }
  /// By the splits that both have.
  std::optional<PairedTest> compare(const std::string& a, const std::string& b) const {
    const BySplit of_a = test(a, "H@5"), of_b = test(b, "H@5");
    std::vector<double> pairs_a, pairs_b;
    for (const auto& [split, value] : of_a) {
      if (!of_b.contains(split)) continue;
      pairs_a.push_back(value);
      pairs_b.push_back(of_b.at(split));
    }
    return paired_t_test(pairs_a, pairs_b);
  }
  /// Competitor with the highest H@5 among those that were trained; empty if none was.
  std::string best_competitor() const {
    std::string best;
    for (const std::string& method : kCompetitors) {
      const auto hit = mean_test(method, "H@5");
      if (hit && (best.empty() || *hit > *mean_test(best, "H@5"))) best = method;
    }
    return best;
  }

  ReportRow accuracy_row(int table, const std::string& method,
                         const std::vector<std::string>& metrics) const {
    const PublishedRow paper = published(table, method);
    ReportRow row{method, title_of(method), "", paper.marks, {}};
    for (const std::string& metric : metrics) {
      row.figures.push_back(
          {FigureStyle::kMetric, values_of(test(method, metric)), paper.figure(metric)});
    }
    return row;
  }
  ReportTable titled(int number, const std::string& what) const {
    ReportTable table;
    table.number = number;
    table.data_set = data_set;
    table.model = model;
    table.title = fmt::format("{}: {}", what, setting_title(data_set, model));
    return table;
  }
  void note_splits(ReportTable& table) const {
    const std::string splits =
        fmt::format("split{} {}", scope.splits.size() > 1 ? "s" : "", joined(scope.splits));
    table.notes.push_back(
        scope.splits.size() > 1
            ? fmt::format("Mean ± standard error over {}; {}: the paper's figure lies outside two "
                          "standard errors.",
                          splits, kOutsideMark)
            : fmt::format("Of {} alone: no standard errors, no tests.", splits));
    for (const ReportRow& row : table.rows) {
      const size_t trained = row.figures.empty() ? 0 : row.figures.front().values.size();
      if (trained < scope.splits.size()) {
        table.notes.push_back(fmt::format("{}: {} of {} splits, the others failed.", row.label,
                                          trained, scope.splits.size()));
      }
    }
  }
};

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
      ours = larger(ours, setting.mean_test(base, metric));
      paper = larger(paper, setting.published(2, base).figure(metric));
    }
    ReportFigure figure{FigureStyle::kPercent, {}, std::nullopt};
    figure.paper = improvement(setting.published(2, best).figure(metric), paper);
    if (const auto value = improvement(setting.mean_test(best, metric), ours)) {
      figure.values = {*value};
    }
    row.figures.push_back(figure);
  }
  return row;
}

/// Against whom the paper tests a method; empty: against nobody.
std::string tested_against(const std::string& method, const std::string& competitor) {
  if (method == "teacher" || method == "student") return "";
  if (std::ranges::find(kCompetitors, method) != kCompetitors.end()) return "";
  return method == "de" ? "student" : competitor;
}

ReportTable tests_table(const Setting& setting, const std::string& competitor) {
  ReportTable table = setting.titled(0, "Paired t-tests on H@5");
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
      const auto test = method == other ? std::nullopt : setting.compare(method, other);
      const auto figure = [&](FigureStyle style, std::optional<double> value) {
        row.figures.push_back(
            {style, value ? std::vector{*value} : std::vector<double>(), std::nullopt});
      };
      figure(FigureStyle::kMetric, test ? std::optional(test->difference) : std::nullopt);
      figure(FigureStyle::kNumber, test ? test->t : std::nullopt);
      figure(FigureStyle::kNumber, test ? test->p : std::nullopt);
    }
    table.rows.push_back(std::move(row));
  }
  table.notes.emplace_back(
      "Pairs are splits; p is two-sided; no t where all splits differ by the same.");
  return table;
}

}  // namespace

const std::vector<double>& table3_sizes() {
  static const std::vector<double> sizes = {1.0, 0.5, 0.1};
  return sizes;
}

const std::vector<std::string>& table4_methods() {
  static const std::vector<std::string> methods = {
      "de", "de-attention", "de-one-large", "de-one-small", "rrd", "rrd-full", "rrd-interesting"};
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

std::string setting_title(const std::string& data_set, const std::string& model) {
  return title_of_data_set(data_set) + ", " + title_of_model(model);
}

ReportTable table1(const ReportScope& scope,
                   const std::vector<const std::map<std::string, double>*>& prepared) {
  struct Column {
    const char* title;
    const char* key;        // of the data set's statistics
    const char* published;  // null: the paper doesn't print it
    FigureStyle style;
  };
  constexpr std::array<Column, 5> kColumns = {
      {{"users", "users", "users", FigureStyle::kCount},
       {"items", "items", "items", FigureStyle::kCount},
       {"training interactions", "train_interactions", "train", FigureStyle::kCount},
       {"their sparsity", "train_sparsity", "sparsity", FigureStyle::kPercent},
       {"all interactions", "interactions", nullptr, FigureStyle::kCount}}};
  ReportTable table;
  table.number = 1;
  table.title = "Table 1: data";
  table.first_column = "Data set";
  for (const Column& column : kColumns) table.columns.emplace_back(column.title);
  for (size_t d = 0; d < scope.data.size(); ++d) {
    const std::string& name = scope.data[d].name;
    const PublishedRow paper = published_row({1, "-", "-", name});
    ReportRow row{name, title_of_data_set(name), "", "", {}};
    for (const Column& column : kColumns) {
      ReportFigure figure{column.style, {}, std::nullopt};
      if (column.published != nullptr) figure.paper = paper.figure(column.published);
      if (prepared[d] != nullptr) {
        const double value = prepared[d]->at(column.key);
        figure.values = {column.style == FigureStyle::kPercent ? 100 * value : value};
      }
      row.figures.push_back(figure);
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "The paper's Table 1 counts one user and one item that do not occur in CiteULike, and as "
      "interactions the training part alone: two per user are held out."};
  if (std::ranges::find(scope.data, "foursquare", &DataSource::name) != scope.data.end()) {
    table.notes.emplace_back(
        "The paper filtered Foursquare's raw check-ins; the public file holds distinct pairs, and "
        "users with 15 places come nearest.");
  }
  return table;
}

std::vector<ReportTable> table2(const ReportScope& scope, const ReportResults& results,
                                const std::string& data_set, const std::string& model) {
  const Setting setting{scope, results, data_set, model};
  ReportTable table = setting.titled(2, "Table 2: accuracy");
  table.first_column = "Method";
  table.columns = kMetrics;
  const std::string competitor = setting.best_competitor();
  std::vector<std::string> methods = {"teacher"};
  methods.insert(methods.end(), scope.methods.begin(), scope.methods.end());
  for (const std::string& method : methods) {
    ReportRow row = setting.accuracy_row(2, method, kMetrics);
    const std::string other = tested_against(method, competitor);
    const auto test = other.empty() ? std::nullopt : setting.compare(method, other);
    if (test && test->p && test->difference > 0) row.marks = asterisks(*test->p);
    table.rows.push_back(std::move(row));
  }
  setting.note_splits(table);
  if (std::ranges::find(scope.methods, "de-rrd") != scope.methods.end()) {
    if (!competitor.empty()) {
      table.rows.push_back(improvement_row(setting, "Improv.b", kCompetitors));
    }
    table.rows.push_back(improvement_row(setting, "Improv.s", {"student"}));
    table.notes.emplace_back(
        "Improv.b, Improv.s: how much higher DE-RRD is than the better one of RD and CD, and than "
        "Student; the paper's are computed from its printed figures.");
  }
  table.notes.push_back(fmt::format(
      "*, **, ***, ****: H@5 is higher with p at most .05, .005, .0005, .00005 in a paired t-test "
      "over the splits: DE against Student, the others against {}.",
      competitor.empty() ? "the better one of RD and CD, which were not trained"
                         : title_of(competitor) + ", the better competitor"));
  if (scope.splits.size() < 2) return {table};  // there is nothing to test
  return {table, tests_table(setting, competitor)};
}

ReportTable table3(const ReportScope& scope, const ReportResults& results,
                   const std::string& data_set, const std::string& model) {
  const Setting setting{scope, results, data_set, model};
  ReportTable table = setting.titled(3, "Table 3: size and speed");
  table.first_column = "φ";
  table.columns = {"time", "parameters", "H@5 ratio"};
  const BySplit teacher = setting.test("teacher", "H@5");
  for (const double size : table3_sizes()) {
    const PublishedRow paper = setting.published(3, fmt::format("phi-{}", size));
    BySplit ratios;
    for (const auto& [split, hit] : setting.test("de-rrd", "H@5", size)) {
      if (teacher.contains(split)) ratios[split] = hit / teacher.at(split);
    }
    ReportFigure time{FigureStyle::kSeconds, {}, paper.figure("seconds")};
    ReportFigure parameters{FigureStyle::kMillions, {}, paper.figure("parameters")};
    const TrainingName name{data_set, scope.splits.front(), model, "de-rrd", size};
    if (const TimingResult* timing = results.timing(name)) {
      time.values = {timing->seconds};
      parameters.values = {timing->parameters / 1e6};
    }
    table.rows.push_back(
        {fmt::format("phi-{}", size),
         fmt::format("{:.1f}", size),
         "",
         "",
         {time, parameters, {FigureStyle::kShare, values_of(ratios), paper.figure("ratio")}}});
  }
  table.notes = {
      "Time: ten items for every user, by DE-RRD's student; the paper's is PyTorch's on a Tesla "
      "P40.",
      "Parameters: the paper counts one user and one item that do not occur in the data.",
      fmt::format("H@5 ratio: DE-RRD's H@5 by Teacher's, over split{} {}.",
                  scope.splits.size() > 1 ? "s" : "", joined(scope.splits))};
  return table;
}

ReportTable table4(const ReportScope& scope, const ReportResults& results,
                   const std::string& data_set, const std::string& model) {
  const Setting setting{scope, results, data_set, model};
  ReportTable table = setting.titled(4, "Table 4: design choices");
  table.first_column = "Design choice";
  table.columns = {"H@5", "N@5", "H@10", "N@10"};
  for (const std::string& method : table4_methods()) {
    table.rows.push_back(setting.accuracy_row(4, method, table.columns));
  }
  setting.note_splits(table);
  if (!table.rows.front().has_paper()) {
    table.notes.emplace_back("The paper prints this table for Foursquare only.");
  }
  return table;
}

}  // namespace derrd
