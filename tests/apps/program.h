#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace derrd::test {

/// A folder of its own for a test, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Names of the files in it, sorted.
  std::vector<std::string> files() const;

 private:
  std::filesystem::path path_;
};

struct Result {
  int exit_code = -1;  ///< -1 if a signal ended the program
  int signal = 0;      ///< that signal
  std::string out, err;
};

/// The program `derrd`, running.
class Process {
 public:
  /// Starts it with these arguments.
  explicit Process(const std::vector<std::string>& arguments);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  /// Whether it has ended; does not wait.
  bool ended();
  /// What it has written to stderr so far.
  std::string error_output() const;
  Result wait();

 private:
  TemporaryFolder outputs_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// Runs `derrd` to its end.
Result derrd(const std::vector<std::string>& arguments);

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
/// The lines of a text, without their newlines.
std::vector<std::string> lines_of(const std::string& text);
/// The records of a run's log. Fails the test at a line that is no JSON.
std::vector<nlohmann::json> read_log(const std::string& path);

struct DatasetSize {
  int64_t users, items, interactions, candidates;
};
/// A synthetic data set, split; also at `path`.
Dataset write_dataset(const std::string& path, DatasetSize size);

/// A data set to train on in milliseconds, at folder / "data".
Dataset write_small_dataset(const TemporaryFolder& folder);

/// user_embedding [users, dim] and item_embedding [items, dim] with numbers that F16 and BF16 hold
/// exactly.
struct SmallModel {
  SmallModel(int64_t users, int64_t items, int64_t dim);
  /// Writes them as "F32", "F16" or "BF16".
  void write(const std::string& path, const std::string& dtype = "F32") const;

  int64_t users, items, dim;
  std::vector<float> user, item;
};

}  // namespace derrd::test
