#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/experiments/plan.h"
#include "apps/experiments/scheduler.h"

namespace derrd {

/// What `derrd reproduce` and `derrd search` have in common.
struct ExperimentOptions {
  std::vector<std::string> data;     ///< NAME=FILE
  std::vector<std::string> recipes;  ///< NAME=FILE, or FILE of the only data set
  std::string work;
  int jobs = 0;  ///< 0: as many as the machine is good for
  int threads = 0;
  uint64_t seed = 0;
  bool dry_run = false;
  bool quiet = false;

  /// @throws Error.
  std::vector<DataSource> sources() const;
  ScheduleOptions schedule() const;
};

/// @param options outlives the command.
void add_experiment_options(CLI::App& command, ExperimentOptions& options);

/// Asks this program's own commands about an option; see OptionCheck.
std::string check_option(const std::string& command, const Option& option);

}  // namespace derrd
