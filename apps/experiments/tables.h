#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/experiments/report_results.h"
#include "apps/experiments/report_table.h"
#include "apps/experiments/run_plan.h"

namespace derrd {

/// Scope of a report: data sets, splits, base models and methods.
struct ReportScope {
  std::vector<DataSource> data;
  std::vector<int> splits;
  std::vector<std::string> models;
  std::vector<std::string> methods;  ///< rows of Table 2, without the teacher
};

/// Sizes of students in Table 3: their dimensions as parts of the teacher's.
const std::vector<double>& table3_sizes();
/// Ablations in Table 4.
const std::vector<std::string>& table4_methods();

/// Returns a method's name as the paper writes it: "DE-RRD" for "de-rrd".
std::string title_of(const std::string& method);
/// Returns the title for a data set and a base model: "CiteULike, BPR".
std::string setting_title(const std::string& data_set, const std::string& model);

/// Makes Table 1: the data.
/// @param prepared statistics of each data set; null for one that couldn't be prepared
ReportTable table1(const ReportScope& scope,
                   const std::vector<const std::map<std::string, double>*>& prepared);
/// Makes Table 2: accuracy. For several splits a second table has the t-tests behind the asterisks.
std::vector<ReportTable> table2(const ReportScope& scope, const ReportResults& results,
                                const std::string& data_set, const std::string& model);
/// Makes Table 3: size and speed.
ReportTable table3(const ReportScope& scope, const ReportResults& results,
                   const std::string& data_set, const std::string& model);
/// Makes Table 4: design choices.
ReportTable table4(const ReportScope& scope, const ReportResults& results,
                   const std::string& data_set, const std::string& model);

}  // namespace derrd
