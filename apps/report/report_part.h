#pragma once

#include <string>
#include <vector>

#include "apps/experiments/run_plan.h"
#include "apps/report/page.h"
#include "apps/report/report_results.h"
#include "apps/report/setting.h"

namespace derrd {

/// Part of the report: a table or a figure of the paper, for every data set and base model.
class ReportPart {
 public:
  ReportPart() = default;
  ReportPart(const ReportPart&) = delete;
  ReportPart& operator=(const ReportPart&) = delete;
  virtual ~ReportPart() = default;

  /// Name of its files: "table2", "figure4", "claims".
  virtual std::string name() const = 0;
  /// Names of the pictures that a data set and a base model may have.
  virtual std::vector<std::string> pictures() const { return {}; }
  /// Returns true if it has something to show of a base model.
  virtual bool shows(const std::string& /*model*/) const { return true; }
  /// Methods that it trains: tables of the recipe.
  virtual std::vector<std::string> methods(const ReportScope&) const { return {}; }
  /// Adds the runs that it needs of a data set and a base model that it shows. @throws Error if the
  /// recipe doesn't fit.
  virtual void add_runs(RunPlan& plan, const ReportScope& scope, const DataSource& source,
                        const std::string& model) const = 0;
  /// Makes its tables and pictures: those of each data set and base model, one after another.
  virtual std::vector<ReportSection> sections(const ReportScope& scope,
                                              const ReportResults& results) const;

 protected:
  /// Makes the tables and pictures of a data set and a base model that it shows.
  virtual std::vector<ReportSection> sections_of(const Setting&) const { return {}; }
};

/// Name of the file with a picture: "figure4-citeulike-bpr.svg".
std::string picture_file(const std::string& picture, const std::string& data_set,
                         const std::string& model);

}  // namespace derrd
