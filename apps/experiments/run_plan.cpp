#include "apps/experiments/run_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "apps/experiments/run_memory.h"
#include "apps/experiments/run_state.h"
#include "data/error.h"
#include "data/parse_number.h"
#include "engine/training/checkpoint.h"
#include "kernels/platform/device.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;

constexpr int kEpochs = 1000;  // Section 5.1, and the default of train and distill

/// Removes an option and returns its value, or `fallback` without one.
std::string take(RecipeOptions& options, const std::string& name, const std::string& fallback) {
  const auto found = std::ranges::find(options, name, &RecipeOption::name);
  if (found == options.end()) return fallback;
  std::string value = found->value;
  options.erase(found);
  return value;
}

int64_t whole_number(const std::string& text, const std::string& what) {
  const std::optional<int64_t> value = parse_number<int64_t>(text);
  if (!value || *value < 1) {
    throw Error(fmt::format("{} has to be a whole number from 1, not \"{}\"", what, text));
  }
  return *value;
}

/// Arguments in an order that doesn't depend on the recipe's.
std::vector<std::string> arguments_of(RecipeOptions options) {
  std::ranges::sort(options, {}, &RecipeOption::name);
  std::vector<std::string> arguments;
  for (const RecipeOption& option : options) arguments.push_back(option.argument());
  return arguments;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// Returns the program, which determines all runs alike: another kind of processor or GPU gives
/// other bits.
std::string program() {
  try {
    return describe_program();
  } catch (const DeviceError&) {
    return DERRD_BACKEND_NAME;  // without a device nothing but --dry-run succeeds
  }
}

/// Says how much memory a run takes, if its inputs are there to tell.
std::string memory_if_known(const ExperimentRun& run, const std::vector<RunState>& states) {
  const bool has_inputs =
      std::ranges::all_of(run.needs, [&](size_t needed) { return states[needed].finished; });
  const auto memory = has_inputs ? memory_of(run) : std::nullopt;
  return memory ? ", needs " + describe_peak(*memory) : "";
}

}  // namespace

size_t RunPlan::add(ExperimentRun run, const std::vector<std::string>& determinants,
                    const std::vector<FileOption>& outputs) {
  constexpr size_t kKeyLength = 12;  // of 32 digits: enough within a folder
  static const std::string kProgram = program();
  std::vector<std::string> parts = {kProgram};
  append(parts, determinants);
  for (const size_t needed : run.needs) parts.push_back(runs_[needed].key);
  run.key = hash_of(parts).substr(0, kKeyLength);
  run.folder = work_ / (run.name + "." + run.key);
  // A student as large as its teacher may be the same training under another name.
  const auto known = std::ranges::find(runs_, run.key, &ExperimentRun::key);
  if (known != runs_.end()) return static_cast<size_t>(known - runs_.begin());
  for (const auto& [option, file] : outputs) {
    run.arguments.push_back(fmt::format("--{}={}", option, run.file(file).string()));
  }
  runs_.push_back(std::move(run));
  return runs_.size() - 1;
}

size_t RunPlan::data_set(const DataSource& source, int split) {
  ExperimentRun run;
  run.name = fmt::format("{}.split-{}", source.name, split);
  run.product = kDataFile;
  std::vector<std::string> options = arguments_of(source.recipe.prepare());
  options.push_back(fmt::format("--split-seed={}", split));
  // A name may begin with a dash.
  run.arguments = {"prepare", fs::absolute(source.file).lexically_normal().string()};
  append(run.arguments, options);
  append(options, {"prepare", source.hash});
  const RecipeOptions given = source.recipe.prepare();
  const auto format = std::ranges::find(given, "format", &RecipeOption::name);
  if (format == given.end() || format->value == "auto") {
    options.push_back(source.file.extension().string());  // by which the format is guessed
  }
  const size_t index = add(std::move(run), options, {{"output", kDataFile}});
  data_sets_[{source.name, split}] = index;
  return index;
}

size_t RunPlan::training(const DataSource& source, const TrainingName& name) {
  const size_t index = training_up_to(std::numeric_limits<int>::max(), source, name);
  trainings_[name] = index;
  return index;
}

size_t RunPlan::training_up_to(int last, const DataSource& source, const TrainingName& name) {
  RecipeOptions options = source.recipe.options(name.model, name.method);
  for (const auto& [option, value] : name.changes) set_option(options, {option, value});
  const int64_t epochs = whole_number(take(options, "epochs", std::to_string(kEpochs)), "epochs");
  const std::string command = RecipeFile::command_of(name.method);
  const std::string sized = name.size == kPaperSize ? "" : fmt::format(".phi-{}", name.size);

  ExperimentRun run;
  run.name =
      fmt::format("{}.{}.{}{}.split-{}", name.data_set, name.model, name.method, sized, name.split);
  run.product = kModelFile;
  if (name.records_gate) run.point = "snapshot-gate";
  for (const auto& [option, value] : name.changes) {
    run.point += (run.point.empty() ? "" : " ") + option + "=" + value;
  }
  run.epochs = static_cast<int>(std::min<int64_t>(last, epochs));
  run.keep_checkpoint = run.epochs < epochs;
  run.needs = {data_set(source, name.split)};
  if (name.method == "student") {
    RecipeOptions teacher = source.recipe.options(name.model, "teacher");
    const auto dim = static_cast<double>(
        whole_number(take(teacher, "dim", ""), source.recipe.name() + ": dim of the teacher"));
    options.push_back({"dim", fmt::format("{}", std::max(1L, std::lround(name.size * dim)))});
  } else if (command == "distill") {
    run.needs.push_back(
        training(source, {name.data_set, name.split, name.model, "teacher", kPaperSize}));
    options.push_back({"size", fmt::format("{}", name.size)});
  }
  options.push_back({"seed", fmt::format("{}", seed_ + static_cast<uint64_t>(name.split))});

  run.arguments = {command};
  append(run.arguments, arguments_of(options));
  std::vector<std::string> determinants = run.arguments;
  determinants.push_back(fmt::format("--epochs={}", epochs));
  const auto input = [&](const char* option, size_t needed, const char* file) {
    run.arguments.push_back(fmt::format("--{}={}", option, runs_[needed].file(file).string()));
  };
  input("data", run.needs[0], kDataFile);
  if (command == "distill") input("teacher", run.needs[1], kModelFile);
  append(run.arguments, {"--resume", "--quiet"});
  std::vector<FileOption> outputs = {
      {"output", kModelFile}, {"log", kLogFile}, {"checkpoint", kCheckpointFile}};
  if (name.records_gate) {
    outputs.emplace_back("snapshot-gate", kGateFile);
    determinants.emplace_back("--snapshot-gate");
  }
  return add(std::move(run), determinants, outputs);
}

size_t RunPlan::user_metrics(const DataSource& source, const TrainingName& name) {
  const size_t trained = training(source, name);
  ExperimentRun run;
  run.name = runs_[trained].name + ".users";
  run.point = runs_[trained].point;
  run.product = kUsersFile;
  run.needs = {data_set(source, name.split), trained};
  run.arguments = {"evaluate", "--data=" + runs_[run.needs[0]].file(kDataFile).string(),
                   "--model=" + runs_[trained].file(kModelFile).string()};
  const size_t index = add(std::move(run), {"users"}, {{"per-user", kUsersFile}});
  user_metrics_[name] = index;
  return index;
}

size_t RunPlan::timing(const DataSource& source, const TrainingName& name) {
  const size_t trained = training(source, name);
  ExperimentRun run;
  run.name = runs_[trained].name + ".timing";
  run.product = kOutputFile;
  run.alone = true;
  run.needs = {data_set(source, name.split), trained};
  run.arguments = {"evaluate", "--latency", "--json",
                   "--data=" + runs_[run.needs[0]].file(kDataFile).string(),
                   "--model=" + runs_[trained].file(kModelFile).string()};
  const size_t index = add(std::move(run), {"latency"}, {});
  timings_[name] = index;
  return index;
}

std::string describe(const std::vector<ExperimentRun>& runs, bool with_memory) {
  std::string text;
  size_t finished = 0;
  std::vector<RunState> states;  // a run comes after those that it needs
  for (const ExperimentRun& run : runs) {
    const RunState& state = states.emplace_back(state_of(run));
    finished += state.finished ? 1 : 0;
    text += fmt::format("{:<8}  {}{}\n  {}\n",
                        state.finished  ? "finished"
                        : state.damaged ? "damaged"
                        : state.begun   ? "begun"
                                        : "to do",
                        run.folder.filename().string(),
                        with_memory && !state.finished ? memory_if_known(run, states) : "",
                        command_line(run));
  }
  return text + fmt::format("{} runs, {} finished\n", runs.size(), finished);
}

}  // namespace derrd
