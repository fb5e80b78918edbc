#include "apps/experiments/experiment_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/checked_line.h"
#include "data/formats/file_bytes.h"
#include "data/formats/safetensors.h"

namespace derrd {

namespace fs = std::filesystem;

namespace {

constexpr const char* kAttemptsFile = "attempts.jsonl";

std::string hash_bytes(std::span<const std::byte> bytes) {
  return hash_tensors({{"", {DType::kU8, {static_cast<int64_t>(bytes.size())}, bytes}}});
}

using Json = nlohmann::json;

/// The metadata of a whole safetensors file; none of a damaged one.
std::optional<Metadata> metadata_if_whole(const fs::path& path) {
  try {
    return SafetensorsFile::read(path).metadata();
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The number under `key` in the JSON text that metadata has under `name`; none if it isn't there.
std::optional<int> number_in(const std::optional<Metadata>& metadata, const char* name,
                             const char* key) {
  if (!metadata || !metadata->contains(name)) return std::nullopt;
  const Json inner = Json::parse(metadata->find(name)->second, nullptr, /*allow_exceptions=*/false);
  if (!inner.is_object() || !inner.contains(key) || !inner[key].is_number_integer()) {
    return std::nullopt;
  }
  return inner[key].get<int>();
}

/// Tells whether the file ends with a complete line.
bool ends_a_line(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return !file.seekg(-1, std::ios::end) || file.get() == '\n';
}

/// Number of epochs, from the first one on, whose records are whole in a log.
int logged_epochs(const fs::path& path) {
  std::ifstream file(path);
  int epochs = 0;
  for (std::string line; std::getline(file, line); ++epochs) {
    const Json json =
        Json::parse(read_checked_line(line).value_or(""), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || json.value("epoch", Json()) != epochs) break;
  }
  return epochs;
}

/// Tells whether a finished run's product is there and whole. A training's log counts too: reports
/// show its curves, and searches decide by them.
bool whole_product(const ExperimentRun& run) {
  const fs::path path = run.file(run.product.c_str());
  if (run.product == kOutputFile) return Json::accept(std::ifstream(path));
  const std::optional<Metadata> metadata = metadata_if_whole(path);
  if (!metadata || run.product != kModelFile) return metadata.has_value();
  const std::optional<int> epochs = number_in(metadata, "metrics", "epochs");
  return epochs && logged_epochs(run.file(kLogFile)) >= *epochs;
}

/// Tells whether a training can continue from its checkpoint without a gap in its log.
bool can_continue(const ExperimentRun& run) {
  const fs::path checkpoint = run.file(kCheckpointFile);
  if (!fs::exists(checkpoint)) return true;
  const auto next = number_in(metadata_if_whole(checkpoint), "state", "next_epoch");
  return next && logged_epochs(run.file(kLogFile)) >= *next;
}

}  // namespace

std::string hash_of(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += fmt::format("{}:{}", part.size(), part);
  return hash_bytes(std::as_bytes(std::span(text)));
}

std::string hash_file(const fs::path& path) { return hash_bytes(read_file(path)); }

RunState state_of(const ExperimentRun& run) {
  RunState state;
  std::ifstream file(run.file(kAttemptsFile));
  for (std::string line; std::getline(file, line);) {
    // A line torn by a crash doesn't count.
    const auto attempt = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = [&](const char* key) {
      return attempt.is_object() ? attempt.value(key, Json()) : Json();
    };
    const Json seconds = number("seconds"), exit = number("exit"), epochs = number("epochs");
    if (!seconds.is_number() || !exit.is_number() || !epochs.is_number()) continue;
    state.begun = true;
    state.seconds += seconds.get<double>();
    state.exit_code = exit.get<int>();
    if (exit == 0 && epochs >= run.epochs) state.finished = true;
  }
  if (fs::exists(run.file(kCheckpointFile))) state.begun = true;
  state.damaged = state.finished ? !whole_product(run) : !can_continue(run);
  if (state.damaged) state.finished = false;
  return state;
}

void delete_run(const ExperimentRun& run) {
  std::error_code error;
  fs::remove_all(run.folder, error);
  if (error) {
    throw Error(fmt::format("{}: can't be removed ({}); remove it by hand", run.folder.string(),
                            error.message()));
  }
}

void delete_leftovers(const ExperimentRun& run) {
  std::error_code error;  // what stays does no harm
  if (!run.keep_checkpoint) fs::remove(run.file(kCheckpointFile), error);
  remove_leftovers(run.folder);
}

void record_attempt(const ExperimentRun& run, const RunAttempt& attempt) {
  const Json json = {
      {"seconds", attempt.seconds}, {"exit", attempt.exit_code}, {"epochs", run.epochs}};
  const bool torn = !ends_a_line(run.file(kAttemptsFile));  // by a crash
  std::ofstream file(run.file(kAttemptsFile), std::ios::app);
  file << (torn ? "\n" : "") + json.dump() + "\n" << std::flush;
  if (!file) {
    throw Error(fmt::format("{}: can't be written; is the disk full, or the folder not yours?",
                            run.file(kAttemptsFile).string()));
  }
}

std::vector<std::string> full_arguments(const ExperimentRun& run) {
  std::vector<std::string> arguments = run.arguments;
  if (run.epochs > 0) arguments.push_back(fmt::format("--epochs={}", run.epochs));
  return arguments;
}

std::string command_line(const ExperimentRun& run) {
  std::string line = "derrd";
  for (const std::string& argument : full_arguments(run)) {
    const bool plain = !argument.empty() && argument.find_first_not_of(
                                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                                "UVWXYZ0123456789-_./=,:+@") == std::string::npos;
    std::string quoted;
    for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += plain ? " " + argument : " '" + quoted + "'";
  }
  return line;
}

std::string tail_of(const fs::path& path, size_t lines) {
  constexpr std::streamoff kMaxBytes = 4096;
  std::ifstream file(path, std::ios::ate | std::ios::binary);
  if (!file) return "";
  file.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(file.tellg()) - kMaxBytes));
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    last.push_back("    " + line + "\n");
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += line;
  return text;
}

}  // namespace derrd
