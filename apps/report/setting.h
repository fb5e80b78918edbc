#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/analysis/statistics.h"
#include "apps/experiments/run_plan.h"
#include "apps/report/published.h"
#include "apps/report/report_results.h"
#include "apps/report/report_table.h"

namespace derrd {

/// Scope of a report: data sets, splits, base models and methods.
struct ReportScope {
  std::vector<DataSource> data;
  std::vector<int> splits;
  std::vector<std::string> models;
  std::vector<std::string> methods;     ///< rows of Table 2, without the teacher
  std::vector<std::string> parts = {};  ///< names of the report's parts
};

/// Method of the recipe, as trained on every split.
struct TrainedMethod {
  std::string method;
  double size = kPaperSize;
  std::map<std::string, std::string> changes = {};  ///< options that replace the recipe's
  bool records_gate = false;                        ///< as in TrainingName

  TrainingName on(const std::string& data_set, const std::string& model, int split) const {
    return {data_set, split, model, method, size, changes, records_gate};
  }
};

/// Values by split, of the splits that were trained.
using BySplit = std::map<int, double>;
/// Returns the values in the order of their splits.
std::vector<double> values_of(const BySplit& by_split);

/// Data set and base model with all results.
struct Setting {
  const ReportScope& scope;
  const ReportResults& results;
  const DataSource& source;
  const std::string& model;

  TrainingName name(const TrainedMethod& method, int split) const {
    return method.on(source.name, model, split);
  }
  BySplit test(const TrainedMethod& method, const std::string& metric) const;
  BySplit valid(const TrainedMethod& method, const std::string& metric) const;
  /// Returns a metric of the test items with its standard error: over the splits, of a single one
  /// over its users.
  ReportFigure figure(const TrainedMethod& method, const std::string& metric,
                      std::optional<double> paper = {}) const;
  /// Returns the mean over the splits; none if no split was trained.
  std::optional<double> mean_test(const TrainedMethod& method, const std::string& metric) const;
  /// Returns the method with the highest mean H\@5 of those that were trained on every split on
  /// which any of them was: means over different splits are not compared. None if there is no such
  /// one.
  std::optional<TrainedMethod> best_of(const std::vector<TrainedMethod>& methods) const;
  PublishedRow published(int table, const std::string& row) const;
  /// Tests H\@5 of two methods over the splits that both have.
  std::optional<PairedTest> compare(const TrainedMethod& a, const TrainedMethod& b) const;
  /// Competitor, RD or CD, with the highest H\@5 among those that were trained; empty if none was.
  std::string best_competitor() const;
  /// Number of a method's style in all charts: its place among the teacher and the report's
  /// methods; of another method its place among the paper's.
  size_t style_of(const std::string& method) const;
  /// Returns the groups of users by the teacher of the first split; null without it.
  const UserGroups* user_groups() const {
    return results.user_groups(name({"teacher"}, scope.splits.front()));
  }
  /// Returns the weighted losses of a method as parts of the base loss, in the best epochs of all
  /// splits.
  std::vector<double> shares(const TrainedMethod& method) const;

  /// Makes a row with metrics of the test items, beside those of one of the paper's tables.
  ReportRow accuracy_row(int table, const std::string& method,
                         const std::vector<std::string>& metrics) const;
  /// Makes an empty table, titled "<what>: CiteULike, BPR".
  ReportTable titled(const std::string& what) const;
  /// Adds notes that say over which splits the figures are means, and which rows lack some.
  void note_splits(ReportTable& table) const;
  /// Returns what the standard errors are over: "splits 0, 1", "the users of split 0".
  std::string errors_over() const;
};

/// Methods that the paper compares with.
const std::vector<std::string>& competitors();
/// Returns a method's name as the paper writes it: "DE-RRD" for "de-rrd".
std::string title_of(const std::string& method);
/// Returns its name with what the recipe doesn't say: "DE, experts = 10".
std::string title_of(const TrainedMethod& method);
std::string title_of_data_set(const std::string& name);
std::string title_of_model(const std::string& name);
/// Returns the title for a data set and a base model: "CiteULike, BPR".
std::string setting_title(const std::string& data_set, const std::string& model);

/// Adds a training, and if the scope is a single split the evaluation of each user, for standard
/// errors.
void add_training(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                  const TrainingName& name);
/// Adds a method's training on every split of the scope.
void add_trainings(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                   const std::string& model, const TrainedMethod& method);

}  // namespace derrd
