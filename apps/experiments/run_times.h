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

/// Deals out threads to runs that could start now: in proportion to what is behind each, so that
/// nothing that others wait for is slowed down by what nobody waits for; 0: it had better wait.
/// @param behind of the runs, falling
std::vector<int> deal_threads(const std::vector<double>& behind, int threads);

}  // namespace derrd
