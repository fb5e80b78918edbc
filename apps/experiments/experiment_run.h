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
///   attempts.jsonl       a line per attempt: seconds, exit code, epochs asked for
///   data.safetensors     from derrd prepare
///   model.safetensors, log.jsonl, checkpoint.safetensors (while unfinished)   from a training
struct ExperimentRun {
  std::string name;   ///< "citeulike.bpr.de-rrd.split-0"
  std::string point;  ///< options set by a search, "k=5 lr=0.1"; empty without a search
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
inline constexpr const char* kOutputFile = "out.txt";
inline constexpr const char* kErrorFile = "err.txt";

/// Hashes texts in their order.
std::string hash_of(const std::vector<std::string>& parts);
/// Hashes a file's contents. @throws Error if it can't be read.
std::string hash_file(const std::filesystem::path& path);

/// Result of all attempts of a run.
struct RunState {
  bool begun = false;
  bool finished = false;  ///< with all epochs that the run asks for
  /// True if a file of a finished run can't be read any more, or an unfinished run can't continue.
  bool damaged = false;
  double seconds = 0;  ///< sum over all attempts
  int exit_code = 0;   ///< of the last attempt; 128 + n after signal n
};
/// Reads a run's state from its folder.
RunState state_of(const ExperimentRun& run);
/// Removes a run's folder. @throws Error if it can't be removed.
void delete_run(const ExperimentRun& run);
/// Removes files that a finished run no longer needs: its checkpoint, and the remains of killed
/// attempts.
void delete_leftovers(const ExperimentRun& run);

/// One attempt to finish a run.
struct RunAttempt {
  double seconds = 0;
  int exit_code = 0;
};
/// Appends an attempt to attempts.jsonl. @throws Error if it can't be written.
void record_attempt(const ExperimentRun& run, const RunAttempt& attempt);

/// Returns all arguments of the call but --threads.
std::vector<std::string> full_arguments(const ExperimentRun& run);
/// Returns the call with full_arguments() as a line for a shell.
std::string command_line(const ExperimentRun& run);

/// Returns the last lines of a file, indented, for a message. Reads only the end of a large file.
std::string tail_of(const std::filesystem::path& path, size_t lines);

}  // namespace derrd
