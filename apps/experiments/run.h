#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace derrd {

/// One call of this program, whose results stay in a folder of its own:
///
///   command.txt          the call, to be repeated by hand
///   out.txt, err.txt     what it printed
///   attempts.jsonl       a line per attempt: seconds, exit code, epochs asked for
///   data.safetensors     of derrd prepare
///   model.safetensors, log.jsonl, checkpoint.safetensors (until it is finished)   of a training
struct Run {
  std::string name;   ///< "citeulike.bpr.de-rrd.split-0"
  std::string point;  ///< the options that a search gave it, "k=5 lr=0.1"; empty: no search
  std::string kind;   ///< the name without the split: runs of one kind take about equally long
  std::string key;    ///< hash over everything that determines the result
  std::filesystem::path folder;
  std::vector<std::string> arguments;  ///< without --threads, and of a training without --epochs
  std::vector<size_t> needs;           ///< runs that have to be finished before
  std::string product;                 ///< file in the folder that a finished run leaves
  int epochs = 0;                      ///< of a training: trained so far, at most; else 0
  /// A rough guess of its work, in seconds of two old cores; 0: too short to learn from.
  double cost = 0;
  bool alone = false;            ///< measures time: nothing else runs beside it
  bool keep_checkpoint = false;  ///< also when it is finished, because more epochs may follow

  std::filesystem::path file(const char* file_name) const { return folder / file_name; }
  /// For messages.
  std::string title() const { return point.empty() ? name : name + " " + point; }
};

inline constexpr const char* kModelFile = "model.safetensors";
inline constexpr const char* kDataFile = "data.safetensors";
inline constexpr const char* kLogFile = "log.jsonl";
inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";
inline constexpr const char* kOutputFile = "out.txt";
inline constexpr const char* kErrorFile = "err.txt";

/// Hash of the parts in their order.
std::string hash_of(const std::vector<std::string>& parts);
/// Hash of a file's contents. @throws Error.
std::string hash_file(const std::filesystem::path& path);

/// What the attempts of a run came to.
struct RunState {
  bool begun = false;
  bool finished = false;  ///< as far as the run's epochs ask
  /// It was finished, but not all that it left can be read any more; or it can't go on.
  bool damaged = false;
  double seconds = 0;  ///< of all attempts together
  int exit_code = 0;   ///< of the last one; 128 and its number for a signal
};
RunState state_of(const Run& run);
/// Removes all that is left of a run. @throws Error.
void forget(const Run& run);
/// Removes what a finished run has no more use for: its checkpoint, and what killed attempts wrote.
void tidy(const Run& run);

struct Attempt {
  double seconds = 0;
  int exit_code = 0;
};
/// Appends an attempt to the run's record. @throws Error.
void record(const Run& run, const Attempt& attempt);

/// All that the program is called with but --threads.
std::vector<std::string> full_arguments(const Run& run);
/// The same as a line for a shell.
std::string command_line(const Run& run);

/// The last lines of a file, indented, to be shown in a message; of a large file a part is read.
std::string tail_of(const std::filesystem::path& path, size_t lines);

}  // namespace derrd
