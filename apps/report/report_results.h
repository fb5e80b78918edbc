#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/experiments/results.h"
#include "apps/experiments/run_plan.h"
#include "apps/experiments/scheduler.h"
#include "apps/report/user_groups.h"

namespace derrd {

/// Results of the runs that succeeded.
class ReportResults {
 public:
  /// Reads the results. @throws Error if one can't be read.
  /// @param plan outlives this object
  /// @param outcomes one per run of the plan
  ReportResults(const RunPlan& plan, const std::vector<RunOutcome>& outcomes);

  /// Returns a training's result; null if it is not in the plan or failed.
  const TrainingResult* training(const TrainingName& name) const;
  /// Returns a timing's result; null if it is not in the plan or failed.
  const TimingResult* timing(const TrainingName& name) const;
  /// Returns a training's run; null if it is not in the plan or failed.
  const ExperimentRun* run(const TrainingName& name) const;
  /// Returns a metric of every user by a trained model, NaN where the user does not count; empty if
  /// the evaluation is not in the plan or failed. @throws Error if it can't be read.
  std::vector<double> user_metric(const TrainingName& name, const std::string& metric) const;
  /// Returns the standard error over the users of the mean of a metric by a trained model; none
  /// without the evaluation. @throws Error if it can't be read.
  std::optional<double> user_error(const TrainingName& name, const std::string& metric) const;
  /// Returns the groups of users by a BPR teacher, which are made at the first call; null if its
  /// training is not in the plan or failed. @throws Error if the model can't be read.
  const UserGroups* user_groups(const TrainingName& teacher) const;
  /// Returns the figures of Table 1 by name; empty if the data set's split is not in the plan or
  /// failed. @throws Error if they can't be read.
  std::map<std::string, double> statistics(const std::string& data_set, int split) const;

 private:
  std::map<TrainingName, TrainingResult> trainings_;
  std::map<TrainingName, TimingResult> timings_;
  std::map<TrainingName, const ExperimentRun*> runs_, user_metrics_;
  std::map<std::pair<std::string, int>, const ExperimentRun*> data_sets_;
  // Made at the first call, as reading takes time and the users' metrics much memory.
  mutable std::map<TrainingName, MetricValues> user_errors_;
  mutable std::map<TrainingName, UserGroups> user_groups_;
};

}  // namespace derrd
