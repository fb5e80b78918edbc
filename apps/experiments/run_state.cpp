#include "apps/experiments/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/error.h"
#include "data/formats/atomic_file.h"
#include "data/formats/checked_line.h"
#include "data/formats/file_bytes.h"
#include "data/formats/safetensors.h"

namespace derrd {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kAttemptsFile = "attempts.jsonl";

/// Lines of a file, without their ends; none if there is no such file. A line torn by a crash is
/// the last one.
std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  if (!fs::exists(path)) return lines;
  std::istringstream text(read_text(path));
  for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
  return lines;
}

/// The record of a line; null if the line is not as it was written.
Json record_of(const std::string& line) {
  const std::optional<std::string> text = read_checked_line(line);
  return text ? Json::parse(*text, nullptr, /*allow_exceptions=*/false) : Json();
}

void append_record(const ExperimentRun& run, const Json& record) {
  const fs::path path = run.file(kAttemptsFile);
  std::ifstream old(path, std::ios::binary);
  const bool torn = old.seekg(-1, std::ios::end) && old.get() != '\n';  // by a crash
  std::ofstream file(path, std::ios::app);
  file << (torn ? "\n" : "") + checked_line(record.dump()) + "\n" << std::flush;
  if (!file) {
    throw Error(fmt::format("{}: can't be written; is the disk full, or the folder not yours?",
                            path.string()));
  }
}

/// Files of a run that an attempt's end records.
std::vector<std::string> recorded_files(const ExperimentRun& run) {
  if (run.epochs == 0) return {run.product};
  return {run.product, kLogFile, kCheckpointFile};
}

/// Tells whether the files are those of an attempt's end. A finished run's checkpoint may be gone.
bool match(const ExperimentRun& run, const Json& hashes, bool finished) {
  for (const std::string& name : recorded_files(run)) {
    const fs::path path = run.file(name.c_str());
    const Json hash = hashes.value(name, Json());
    if (!fs::exists(path)) {
      if (hash.is_null() || (finished && name == kCheckpointFile)) continue;
      return false;
    }
    if (hash != hash_file(path)) return false;
  }
  return !finished || hashes.contains(run.product);
}

/// Hashes of a log up to each of its epochs: none of no epochs, then one for each from the first
/// on.
std::vector<std::string> log_hashes(const ExperimentRun& run) {
  std::vector<std::string> hashes = {""};
  for (const std::string& line : lines_of(run.file(kLogFile))) {
    const Json record = record_of(line);
    if (!record.is_object() || record.value("epoch", Json()) != hashes.size() - 1) break;
    hashes.push_back(extend_log_hash(hashes.back(), line));
  }
  return hashes;
}

/// The number under `key` in the JSON that a file's metadata has under `name`; -1: none.
int64_t number_in(const SafetensorsFile& file, const char* name, const char* key) {
  const Json json = Json::parse(file.metadata_or(name, ""), nullptr, /*allow_exceptions=*/false);
  const Json number = json.is_object() ? json.value(key, Json()) : Json();
  return number.is_number_integer() ? number.get<int64_t>() : -1;
}

/// Tells whether what a killed training has left is whole and fits together: its log, the model, if
/// it is needed, and the checkpoint, if there is one.
/// @throws Error if a file is damaged.
bool fit_together(const ExperimentRun& run, bool needs_model) {
  const std::vector<std::string> hashes = log_hashes(run);
  const auto logged = static_cast<int64_t>(hashes.size()) - 1;
  if (needs_model) {
    const auto model = SafetensorsFile::read(run.file(kModelFile));
    const int64_t epochs = number_in(model, "metrics", "epochs");
    if (epochs < 0 || epochs > logged) return false;
  }
  if (!fs::exists(run.file(kCheckpointFile))) {
    // The training starts anew. It replaces a log, but nothing else in its place.
    return logged > 0 || !fs::exists(run.file(kLogFile)) || fs::is_empty(run.file(kLogFile));
  }
  const auto checkpoint = SafetensorsFile::read(run.file(kCheckpointFile));
  const int64_t next = number_in(checkpoint, "state", "next_epoch");
  return next >= 0 && next <= logged &&
         checkpoint.metadata_or("log_hash", "") == hashes[static_cast<size_t>(next)];
}

/// Files of a run's folder.
constexpr const char* kRunFiles[] = {kModelFile,      kDataFile,    kLogFile,
                                     kCheckpointFile, kUsersFile,   kOutputFile,
                                     kErrorFile,      kCommandFile, kAttemptsFile};

/// Tells whether something else than a file has the name of one.
bool holds_other_than_files(const ExperimentRun& run) {
  return std::ranges::any_of(kRunFiles, [&](const char* name) {
    std::error_code error;
    const fs::file_status status = fs::status(run.file(name), error);
    // A loop of links has no status.
    return fs::exists(status) ? !fs::is_regular_file(status)
                              : fs::is_symlink(fs::symlink_status(run.file(name), error));
  });
}

bool is_damaged(const ExperimentRun& run, bool finished, const Json& hashes) {
  try {
    if (!hashes.is_null() && !match(run, hashes, finished)) return true;
    // A killed attempt, and one that failed after the run was finished, may have left a torn log.
    return run.epochs > 0 ? !fit_together(run, finished) : hashes.is_null() && finished;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

RunState state_of(const ExperimentRun& run) {
  RunState state;
  if (holds_other_than_files(run)) {
    state.begun = state.damaged = true;
    return state;
  }
  Json hashes;  // at the end of the last attempt; null if it was killed
  for (const std::string& line : lines_of(run.file(kAttemptsFile))) {
    const Json record = record_of(line);
    if (!record.is_object()) continue;  // torn by a crash, or damaged
    state.begun = true;
    hashes = record.value("files", Json());
    if (!record.contains("exit")) continue;  // a start
    state.seconds += record.value("seconds", 0.0);
    state.exit_code = record.value("exit", 0);
    if (state.exit_code == 0 && record.value("epochs", 0) >= run.epochs) state.finished = true;
  }
  if (fs::exists(run.file(kCheckpointFile))) state.begun = true;
  state.damaged = is_damaged(run, state.finished, hashes);
  if (state.damaged) state.finished = false;
  return state;
}

void record_start(const ExperimentRun& run) { append_record(run, {{"epochs", run.epochs}}); }

void record_end(const ExperimentRun& run, const RunAttempt& attempt) {
  Json files = Json::object();
  for (const std::string& name : recorded_files(run)) {
    const fs::path path = run.file(name.c_str());
    if (fs::exists(path)) files[name] = hash_file(path);
  }
  append_record(run, {{"seconds", attempt.seconds},
                      {"exit", attempt.exit_code},
                      {"epochs", run.epochs},
                      {"files", files}});
}

void delete_run(const ExperimentRun& run) {
  for (const char* name : kRunFiles) {
    std::error_code error;
    fs::remove_all(run.file(name), error);
    if (error) {
      throw Error(fmt::format("{}: can't be removed ({}); remove it by hand",
                              run.file(name).string(), error.message()));
    }
  }
}

void delete_leftovers(const ExperimentRun& run) {
  std::error_code error;  // what stays does no harm
  if (!run.keep_checkpoint) fs::remove(run.file(kCheckpointFile), error);
  remove_leftovers(run.folder);
}

}  // namespace derrd
