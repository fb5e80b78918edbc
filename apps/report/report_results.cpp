#include "apps/report/report_results.h"

#include <algorithm>
#include <cmath>

#include "apps/analysis/statistics.h"

namespace derrd {

namespace {

/// Standard errors of the metrics' means over the users who count.
MetricValues errors_of(UserMetrics metrics) {
  MetricValues errors;
  for (auto& [metric, values] : metrics) {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    if (const auto error = standard_error(values)) errors.emplace(metric, *error);
  }
  return errors;
}

}  // namespace

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
  if (found == user_metrics_.end()) return {};
  return read_user_metrics(*found->second).at(metric);
}
std::optional<double> ReportResults::user_error(const TrainingName& name,
                                                const std::string& metric) const {
  const auto run = user_metrics_.find(name);
  if (run == user_metrics_.end()) return std::nullopt;
  auto known = user_errors_.find(name);
  if (known == user_errors_.end()) {
    known = user_errors_.emplace(name, errors_of(read_user_metrics(*run->second))).first;
  }
  const auto error = known->second.find(metric);
  return error == known->second.end() ? std::nullopt : std::optional(error->second);
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
