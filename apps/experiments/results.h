#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/run.h"

namespace derrd {

/// Values by name: "H@5", "N@5", ...
using MetricValues = std::map<std::string, double>;

/// What a finished training reports.
struct TrainingResult {
  int best_epoch = 0, epochs = 0;
  MetricValues valid, test;
};
/// From the model's metadata. @throws Error.
TrainingResult read_training(const Run& run);

/// Of a finished `derrd evaluate --json` of one model.
struct TimingResult {
  double seconds = 0;  ///< to recommend ten items to every user
  double parameters = 0;
};
/// @throws Error.
TimingResult read_timing(const Run& run);

/// The figures of Table 1, from the metadata of a prepared data set. @throws Error.
std::map<std::string, double> read_statistics(const Run& run);

/// Validation and test H\@5 after each epoch, from the log.
struct Curve {
  std::vector<double> valid, test;
};
Curve read_curve(const Run& run);

/// The last epoch in the log of a run in progress.
std::optional<int> last_epoch(const Run& run);

}  // namespace derrd
