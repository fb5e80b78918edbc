#include "apps/commands/experiment_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <string_view>
#include <thread>
#include <utility>

#include "apps/cli/config_option.h"
#include "apps/cli/option_checks.h"
#include "apps/commands/distill.h"
#include "apps/commands/prepare.h"
#include "apps/commands/train.h"
#include "data/error.h"
#include "data/joined.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

/// "NAME=FILE" in parts; without a name it is empty.
std::pair<std::string, std::string> name_and_file(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// The data sets by name, in their order.
std::vector<std::pair<std::string, std::string>> data_files(const std::vector<std::string>& data) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& text : data) {
    auto [name, file] = name_and_file(text);
    if (!plain_name(name) || file.empty()) {
      refuse("--data", fmt::format("takes NAME=FILE with a name of letters, digits and dashes, as "
                                   "in citeulike=users.dat, not \"{}\"",
                                   text));
    }
    if (std::ranges::any_of(files, [&](const auto& known) { return known.first == name; })) {
      refuse("--data", fmt::format("names {} twice", name));
    }
    files.emplace_back(std::move(name), std::move(file));
  }
  return files;
}

/// How many letters have to be put in, taken out or replaced to make one text the other.
size_t edits(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

/// The command's long options that read most like this one.
std::vector<std::string> nearest_options(const CLI::App& command, const std::string& name) {
  std::vector<std::string> nearest;
  size_t least = std::string::npos;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& known : option->get_lnames()) {
      const size_t distance = edits(name, known);
      if (distance > least) continue;
      if (distance < least) nearest.clear();
      least = distance;
      nearest.push_back(known);
    }
  }
  return nearest;
}

}  // namespace

void refuse(const char* option, const std::string& why) { throw CLI::ValidationError(option, why); }

std::vector<DataSource> ExperimentOptions::sources() const {
  const auto files = data_files(data);
  std::map<std::string, std::string> recipes_by_name;
  for (const std::string& text : recipes) {
    auto [name, file] = name_and_file(text);
    if (name.empty() && files.size() == 1) name = files.front().first;
    if (name.empty()) refuse("--recipes", "needs NAME=FILE where there are several data sets");
    if (std::ranges::none_of(files, [&](const auto& known) { return known.first == name; })) {
      refuse("--recipes", fmt::format("names {}, which --data doesn't", name));
    }
    if (!recipes_by_name.emplace(name, file).second) {
      refuse("--recipes", fmt::format("names {} twice", name));
    }
  }
  const auto recipe_of = [&](const std::string& name) {
    const auto given = recipes_by_name.find(name);
    if (given != recipes_by_name.end()) return RecipeFile::read(given->second, check_option);
    try {
      return RecipeFile::of_data_set(name, check_option);
    } catch (const Error& e) {
      refuse("--data", e.what());
    }
  };
  std::vector<DataSource> sources;
  for (const auto& [name, file] : files) {
    sources.push_back({name, file, recipe_of(name), hash_file(file)});
  }
  return sources;
}

ScheduleOptions ExperimentOptions::schedule() const {
  constexpr int kJobsOnGpu = 2;  // which all of them share, its memory too
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
  return files;
}

std::vector<NamedFile> ExperimentOptions::recipe_files() const {
  std::vector<NamedFile> files;
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
          "Raw interactions, as derrd prepare reads them, and the data set's name: it picks "
          "the recipe and the published figures")
      ->required()
      ->type_name("NAME=FILE");
  command
      .add_option("--work", options.work,
                  "Folder for the runs, made if need be. Finished ones are kept and taken again "
                  "wherever all that determines them is the same; a key in a folder's name stands "
                  "for that. Of the program it holds the version only: a change to its code needs "
                  "a new folder")
      ->required()
      ->type_name("DIR");
  command
      .add_option("--recipes", options.recipes,
                  "Hyperparameters [data/recipes/NAME.toml, which the program carries]; NAME= is "
                  "needed where there are several data sets")
      ->type_name("[NAME=]FILE");
  command
      .add_option(
          "--jobs", options.jobs,
          "Runs at a time, each a process; 0: one per core, with CUDA two at most. Lower it "
          "if memory runs short")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--threads", options.threads,
                  "Host threads of all runs together, 0: one per core; results don't depend on it")
      ->check(at_least(0))
      ->capture_default_str();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  command.add_option("--seed", options.seed, "Of the trainings: those on split s get this plus s")
      ->check(between<int64_t>(0, kMost))
      ->capture_default_str();
  command.add_flag("--dry-run", options.dry_run,
                   "Only show the runs: their commands, which are finished, and how long the rest "
                   "will take as far as finished ones tell");
  command.add_flag("--quiet", options.quiet, "Show no progress");
}

std::string check_option(const std::string& command, const Option& option) {
  CLI::App app;
  if (command == "prepare") {
    add_prepare(app);
  } else if (command == "train") {
    add_train(app);
  } else {
    add_distill(app);
  }
  CLI::App* parsed = app.get_subcommand(command);
  // All is checked by then, and nothing carried out. (The command's own callback stays: it owns the
  // values of the options.)
  struct Accepted {};
  parsed->parse_complete_callback([] { throw Accepted(); });
  if (option.name == "help" || parsed->get_option_no_throw("--" + option.name) == nullptr) {
    return fmt::format("derrd {} has no option {}; nearest: {}", command, option.name,
                       joined(nearest_options(*parsed, option.name)));
  }
  // Of the required options only their being there matters.
  std::vector<std::string> arguments = {command, "-o", "FILE", option.argument()};
  if (command != "prepare") arguments.insert(arguments.end(), {"--data", "FILE"});
  std::ranges::reverse(arguments);
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return e.what();
  } catch (const Accepted&) {
    return "";
  }
  return fmt::format("derrd {} can't be checked", command);
}

}  // namespace derrd
