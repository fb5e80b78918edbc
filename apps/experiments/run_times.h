#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/run.h"

namespace derrd {

/// How long runs take, learned from those that are finished.
class RunTimes {
 public:
  void add(const Run& run, double seconds);
  /// The mean of its kind; of an unknown kind its guessed cost, scaled as the known ones were off;
  /// none before the first run is finished.
  std::optional<double> expected(const Run& run) const;

 private:
  struct Sum {
    double seconds = 0;
    int count = 0;
  };
  std::map<std::string, Sum> kinds_;
  double seconds_ = 0, cost_ = 0;
};

/// For each run its own seconds and those of the longest chain of runs that wait for it: who has
/// most behind it starts first. Runs come after those that they need.
std::vector<double> chains(const std::vector<Run>& runs, std::vector<double> seconds);

}  // namespace derrd
