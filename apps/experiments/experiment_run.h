#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace derrd {

/// A call of this program, with a folder for its results:
///
///   command.txt          the call, for repeating it by hand
///   out.txt, err.txt     what it printed
///   attempts.jsonl       a line for each attempt's start, and one for its end (see run_state.h)
///   data.safetensors     from derrd prepare
///   model.safetensors, log.jsonl, checkpoint.safetensors (while unfinished)   from a training
///   gate.safetensors     from a training with a gate record
///   users.tsv            from derrd evaluate --per-user
struct ExperimentRun {
  std::string name;   ///< "citeulike.bpr.de-rrd.split-0"
  std::string point;  ///< options other than the recipe's, "k=5 lr=0.1"
  std::string key;    ///< hash of everything that determines the result
  std::filesystem::path folder;
  std::vector<std::string> arguments;  ///< without --threads and --epochs
  std::vector<size_t> needs;           ///< runs that must finish first
  std::string product;                 ///< name of the file that a finished run leaves
  int epochs = 0;                      ///< limit of a training's epochs; 0 for other runs
  bool alone = false;                  ///< measures time, so nothing else may run beside it
  bool keep_checkpoint = false;        ///< after the end, because more epochs may follow

  std::filesystem::path file(const char* file_name) const { return folder / file_name; }
  /// Name and point, for messages.
  std::string title() const { return point.empty() ? name : name + " " + point; }
};

inline constexpr const char* kModelFile = "model.safetensors";
inline constexpr const char* kDataFile = "data.safetensors";
inline constexpr const char* kLogFile = "log.jsonl";
inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";
inline constexpr const char* kGateFile = "gate.safetensors";
inline constexpr const char* kUsersFile = "users.tsv";
inline constexpr const char* kOutputFile = "out.txt";
inline constexpr const char* kErrorFile = "err.txt";
inline constexpr const char* kCommandFile = "command.txt";

/// Hashes texts in their order.
std::string hash_of(const std::vector<std::string>& parts);
/// Hashes a file's contents. @throws Error if it can't be read.
std::string hash_file(const std::filesystem::path& path);

/// Returns all arguments of the call but --threads.
std::vector<std::string> full_arguments(const ExperimentRun& run);
/// Returns the call with full_arguments() as a line for a shell.
std::string command_line(const ExperimentRun& run);

/// Returns the last lines of a file, indented, for a message. Reads only the end of a large file.
std::string tail_of(const std::filesystem::path& path, size_t lines);

}  // namespace derrd
