#include "apps/commands/experiment_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "apps/cli/config_option.h"
#include "apps/cli/option_checks.h"
#include "apps/cli/usage_error.h"
#include "apps/commands/distill.h"
#include "apps/commands/prepare.h"
#include "apps/commands/train.h"
#include "data/error.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

/// Splits "NAME=FILE"; the name is empty if there is none.
std::pair<std::string, std::string> name_and_file(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// Names and files of the data sets, in their order.
std::vector<std::pair<std::string, std::string>> data_files(const std::vector<std::string>& data) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& text : data) {
    auto [name, file] = name_and_file(text);
    if (!plain_name(name) || file.empty()) {
      throw UsageError(
          fmt::format("--data: takes NAME=FILE with a name of letters, digits and dashes, as "
                      "in citeulike=users.dat, not \"{}\"",
                      text));
    }
    if (std::ranges::any_of(files, [&](const auto& known) { return known.first == name; })) {
      throw UsageError(fmt::format("--data: names {} twice", name));
    }
    files.emplace_back(std::move(name), std::move(file));
  }
  return files;
}

}  // namespace

std::vector<DataSource> ExperimentOptions::sources() const {
  const auto files = data_files(data);
  std::map<std::string, std::string> recipes_by_name;
  for (const std::string& text : recipes) {
    auto [name, file] = name_and_file(text);
    if (name.empty() && files.size() == 1) name = files.front().first;
    if (name.empty())
      throw UsageError("--recipes: needs NAME=FILE where there are several data sets");
    if (std::ranges::none_of(files, [&](const auto& known) { return known.first == name; })) {
      throw UsageError(fmt::format("--recipes: names {}, which --data doesn't", name));
    }
    if (!recipes_by_name.emplace(name, file).second) {
      throw UsageError(fmt::format("--recipes: names {} twice", name));
    }
  }
  const auto recipe_of = [&](const std::string& name) {
    const auto given = recipes_by_name.find(name);
    if (given != recipes_by_name.end()) return RecipeFile::read(given->second, check_option);
    try {
      return RecipeFile::of_data_set(name, check_option);
    } catch (const Error& e) {
      throw UsageError(fmt::format("--data: {}", e.what()));
    }
  };
  std::vector<DataSource> sources;
  for (const auto& [name, file] : files) {
    sources.push_back({name, file, recipe_of(name), hash_file(file)});
  }
  return sources;
}

ScheduleOptions ExperimentOptions::schedule() const {
  constexpr int kJobsOnGpu = 2;  // shared by all of them, like its memory
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const bool gpu = std::string_view(DERRD_BACKEND_NAME) == "cuda";
  ScheduleOptions options;
  options.jobs = jobs > 0 ? jobs : gpu ? std::min(cores, kJobsOnGpu) : cores;
  options.threads = threads > 0 ? threads : cores;
  options.quiet = quiet;
  return options;
}

std::vector<NamedFile> ExperimentOptions::inputs() const {
  std::vector<NamedFile> files;
  for (const std::string& file : config->results()) files.push_back({"--config", file});
  for (const std::string& text : data) files.push_back({"--data", name_and_file(text).second});
  for (const std::string& text : recipes) {
    files.push_back({"--recipes", name_and_file(text).second});
  }
  return files;
}

void add_experiment_options(CLI::App& command, ExperimentOptions& options) {
  options.config = command.get_option("--config");
  command
      .add_option(
          "--data", options.data,
          "Raw interactions, as derrd prepare reads them. The name selects the recipe and the "
          "published figures")
      ->required()
      ->type_name("NAME=FILE");
  command
      .add_option(
          "--work", options.work,
          "Folder for the runs, made if it is missing. A finished run is used again by every "
          "call with the same data, options and version of derrd; use a new folder after "
          "changing derrd's code")
      ->required()
      ->type_name("DIR");
  command
      .add_option(
          "--recipes", options.recipes,
          "File of hyperparameters [the built-in data/recipes/NAME.toml]. NAME= may be left "
          "out with a single data set")
      ->type_name("[NAME=]FILE");
  command
      .add_option(
          "--jobs", options.jobs,
          "Number of runs at a time, each in a process of its own; 0: one per core, with CUDA "
          "at most two. A training waits while its memory is not there beside the others'")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--threads", options.threads,
                  "Host threads for all runs together; 0: one per core. Results don't depend on it")
      ->check(at_least(0))
      ->capture_default_str();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  command.add_option("--seed", options.seed, "Base seed; split s trains with seed + s")
      ->check(between<int64_t>(0, kMax))
      ->capture_default_str();
  command.add_flag(
      "--dry-run", options.dry_run,
      "Show the runs, their commands and which are finished, and stop; reproduce shows "
      "the memory of trainings whose inputs are there, too");
  command.add_flag("--quiet", options.quiet, "Show no progress");
}

std::optional<std::string> check_option(const std::string& command, const RecipeOption& option) {
  CLI::App app;
  if (command == "prepare") {
    add_prepare(app);
  } else if (command == "train") {
    add_train(app);
  } else {
    add_distill(app);
  }
  CLI::Option* known = app.get_subcommand(command)->get_option_no_throw("--" + option.name);
  if (known == nullptr || option.name == "help") {
    return fmt::format("derrd {} has no option {}", command, option.name);
  }
  try {
    set_from_file(*known, {option.value});
    known->run_callback();  // checks and converts the value; the command itself does not run
  } catch (const CLI::Error& e) {
    return e.what();
  }
  return std::nullopt;
}

}  // namespace derrd
