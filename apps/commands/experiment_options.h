#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "apps/experiments/run_plan.h"
#include "apps/experiments/scheduler.h"

namespace derrd {

/// Options of `derrd reproduce` and `derrd search`.
struct ExperimentOptions {
  std::vector<std::string> data;     ///< NAME=FILE
  std::vector<std::string> recipes;  ///< NAME=FILE, or FILE with a single data set
  std::string work;
  const CLI::Option* config = nullptr;
  int jobs = 0;  ///< 0: chosen by the machine
  int threads = 0;
  uint64_t seed = 0;
  bool dry_run = false;
  bool quiet = false;

  /// Reads the data sets' recipes. @throws UsageError if options contradict each other; Error if a
  /// file can't be read or a recipe is wrong.
  std::vector<DataSource> sources() const;
  /// Returns the numbers of jobs and threads, chosen for this machine where they are 0.
  ScheduleOptions schedule() const;
  /// Lists all files that are read.
  std::vector<NamedFile> inputs() const;
};

/// Adds the options to a command. Call add_config_option() first.
/// @param options outlives the command
void add_experiment_options(CLI::App& command, ExperimentOptions& options);

/// Checks an option of `derrd prepare`, `train` or `distill` as the command line does; serves as
/// OptionCheck.
std::optional<std::string> check_option(const std::string& command, const RecipeOption& option);

}  // namespace derrd
