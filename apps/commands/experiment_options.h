#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "apps/experiments/plan.h"
#include "apps/experiments/scheduler.h"

namespace derrd {

/// What `derrd reproduce` and `derrd search` have in common.
struct ExperimentOptions {
  std::vector<std::string> data;     ///< NAME=FILE
  std::vector<std::string> recipes;  ///< NAME=FILE, or FILE of the only data set
  std::string work;
  const CLI::Option* config = nullptr;
  int jobs = 0;  ///< 0: as many as the machine is good for
  int threads = 0;
  uint64_t seed = 0;
  bool dry_run = false;
  bool quiet = false;

  /// @throws Error; CLI::ValidationError if the options don't fit together.
  std::vector<DataSource> sources() const;
  ScheduleOptions schedule() const;
  /// The files that are only read, and the recipes, which a search may update.
  std::vector<NamedFile> inputs() const;
  std::vector<NamedFile> recipe_files() const;
};

/// To be called after add_config_option(). @param options outlives the command.
void add_experiment_options(CLI::App& command, ExperimentOptions& options);

/// Refuses the value of an option. @throws CLI::ValidationError.
[[noreturn]] void refuse(const char* option, const std::string& why);

/// Asks this program's own commands about an option; see OptionCheck.
std::string check_option(const std::string& command, const Option& option);

}  // namespace derrd
