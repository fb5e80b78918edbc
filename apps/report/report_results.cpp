#include "apps/report/report_results.h"

namespace derrd {

ReportResults::ReportResults(const RunPlan& plan, const std::vector<RunOutcome>& outcomes) {
  const auto succeeded = [&](size_t i) {
    return outcomes[i] == RunOutcome::kKept || outcomes[i] == RunOutcome::kFinished;
  };
  for (const auto& [name, i] : plan.trainings()) {
    if (!succeeded(i)) continue;
    trainings_.emplace(name, read_training(plan.runs()[i]));
    runs_.emplace(name, &plan.runs()[i]);
  }
  for (const auto& [name, i] : plan.timings()) {
    if (succeeded(i)) timings_.emplace(name, read_timing(plan.runs()[i]));
  }
  for (const auto& [name, i] : plan.user_metrics()) {
    if (succeeded(i)) user_metrics_.emplace(name, &plan.runs()[i]);
  }
  for (const auto& [name, i] : plan.data_sets()) {
    if (succeeded(i)) data_sets_.emplace(name, &plan.runs()[i]);
  }
}

const TrainingResult* ReportResults::training(const TrainingName& name) const {
  const auto found = trainings_.find(name);
  return found == trainings_.end() ? nullptr : &found->second;
}
const TimingResult* ReportResults::timing(const TrainingName& name) const {
  const auto found = timings_.find(name);
  return found == timings_.end() ? nullptr : &found->second;
}
const ExperimentRun* ReportResults::run(const TrainingName& name) const {
  const auto found = runs_.find(name);
  return found == runs_.end() ? nullptr : found->second;
}

std::vector<double> ReportResults::user_metric(const TrainingName& name,
                                               const std::string& metric) const {
  const auto found = user_metrics_.find(name);
  return found == user_metrics_.end() ? std::vector<double>()
                                      : read_user_metric(*found->second, metric);
}
const UserGroups* ReportResults::user_groups(const TrainingName& teacher) const {
  const ExperimentRun* trained = run(teacher);
  if (trained == nullptr) return nullptr;
  auto found = user_groups_.find(teacher);
  if (found == user_groups_.end()) {
    found = user_groups_.emplace(teacher, group_users(trained->file(kModelFile))).first;
  }
  return &found->second;
}
std::map<std::string, double> ReportResults::statistics(const std::string& data_set,
                                                        int split) const {
  const auto found = data_sets_.find({data_set, split});
  return found == data_sets_.end() ? std::map<std::string, double>()
                                   : read_statistics(*found->second);
}

}  // namespace derrd
