#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/experiment_run.h"

namespace derrd {

/// Metrics by name: "H@5", "N@5", ...; none over no users.
using MetricValues = std::map<std::string, double>;

/// Result of a finished training.
struct TrainingResult {
  int best_epoch = 0, epochs = 0;
  MetricValues valid, test;
  /// Weighted distillation losses, by name, as parts of the base loss in the best epoch.
  std::map<std::string, double> shares;
  double parameters = 0;
};
/// Reads a training's result from its model and its log. @throws Error if they can't be read.
TrainingResult read_training(const ExperimentRun& run);

/// Result of `derrd evaluate --latency --json` for one model.
struct TimingResult {
  /// Lists for one user at a time.
  struct OneByOne {
    double seconds = 0;  ///< for all users
    double median_us = 0, p99_us = 0;
    double users_per_second = 0, peak_device_bytes = 0;
  };
  OneByOne full_sort;          ///< all items, as the paper's Table 3
  OneByOne top10;              ///< the best ten items
  double batched_seconds = 0;  ///< to recommend ten items to every user, many at a time
  double parameters = 0;
  std::string machine = {};  ///< "AMD EPYC, threads: 2"
};
/// Reads a timing's output. @throws Error if it can't be read.
TimingResult read_timing(const ExperimentRun& run);

/// Metrics of every user by name; NaN where a user does not count.
using UserMetrics = std::map<std::string, std::vector<double>>;
/// Reads the metrics of the paper's tables from a user_metrics() run. @throws Error if they can't
/// be read.
UserMetrics read_user_metrics(const ExperimentRun& run);

/// Reads the figures of Table 1 from a data set's metadata, by name. @throws Error if it can't be
/// read.
std::map<std::string, double> read_statistics(const ExperimentRun& run);

/// Validation and test H\@5 after each epoch, from the log; empty if no user has such an item.
struct LearningCurve {
  std::vector<double> valid, test;
};
/// Reads a training's curve. @throws Error if a line of the log is not an epoch's record.
LearningCurve read_curve(const ExperimentRun& run);

/// Returns the last epoch in the log of a run in progress; none before the first epoch's end.
std::optional<int> last_epoch(const ExperimentRun& run);

}  // namespace derrd
