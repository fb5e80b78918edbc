#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/experiments/plan.h"
#include "apps/experiments/report_table.h"
#include "apps/experiments/results.h"
#include "apps/experiments/scheduler.h"

namespace derrd {

/// What is compared with what.
struct Study {
  std::vector<DataSource> data;
  std::vector<int> splits;
  std::vector<std::string> models;
  std::vector<std::string> methods;  ///< of Table 2, without the teacher
};

/// The sizes of Table 3 and the ablations of Table 4.
const std::vector<double>& table3_sizes();
const std::vector<std::string>& table4_methods();

/// What the runs that succeeded found.
class Findings {
 public:
  Findings(const Plan& plan, const std::vector<Outcome>& outcomes);
  /// Null: not trained, or failed.
  const TrainingResult* training(const TrainingName& name) const;
  const TimingResult* timing(const TrainingName& name) const;
  /// Of the folder of a training that succeeded; null as above.
  const Run* run(const TrainingName& name) const;

 private:
  std::map<TrainingName, TrainingResult> trainings_;
  std::map<TrainingName, TimingResult> timings_;
  std::map<TrainingName, const Run*> runs_;
};

/// "de-rrd" as the paper writes it: "DE-RRD".
std::string title_of(const std::string& method);
/// "CiteULike, BPR".
std::string setting_title(const std::string& data_set, const std::string& model);

/// @param prepared statistics of each data set, null where it couldn't be prepared.
ReportTable table1(const Study& study,
                   const std::vector<const std::map<std::string, double>*>& prepared);
/// The table of accuracies, and of several splits the tests behind its asterisks.
std::vector<ReportTable> table2(const Study& study, const Findings& findings,
                                const std::string& data_set, const std::string& model);
ReportTable table3(const Study& study, const Findings& findings, const std::string& data_set,
                   const std::string& model);
ReportTable table4(const Study& study, const Findings& findings, const std::string& data_set,
                   const std::string& model);

}  // namespace derrd
