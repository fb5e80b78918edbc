#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "tests/files.h"

namespace derrd::test {

using Arguments = std::vector<std::string>;
Arguments operator+(Arguments a, const Arguments& b);

struct Result {
  int exit_code = -1;  ///< -1 if a signal ended the program
  int signal = 0;      ///< that signal
  std::string out, err;
  int64_t peak_bytes = 0;  ///< the most memory that it had at once
};

/// The program `derrd`, running.
class Process {
 public:
  /// Starts it with these arguments.
  /// @param prepare called in the new process before the program: changes descriptors or signals
  explicit Process(const Arguments& arguments, const std::function<void()>& prepare = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) const;
  /// Tells whether it has ended; does not wait.
  bool ended();
  /// Text that it has written to stderr so far.
  std::string error_output() const;
  Result wait();

 private:
  TestFolder outputs_;
  pid_t pid_ = -1;
  int status_ = 0;
  rusage usage_ = {};
  bool ended_ = false;
};

/// Runs `derrd` to its end.
Result derrd(const Arguments& arguments, const std::function<void()>& prepare = {});
/// Runs `derrd` on a terminal of its own to its end; `out` is what the terminal receives.
Result derrd_on_terminal(const Arguments& arguments);

constexpr int kFailure = 1, kUsageError = 2;
/// Runs `derrd`, and expects this exit code and all of `parts` in what it writes to stderr.
Result expect_exit(int code, const Arguments& arguments,
                   const std::vector<std::string>& parts = {});
/// Runs `derrd`, and expects it to succeed.
Result succeed(const Arguments& arguments);

/// A test with a folder for what its commands read and write.
class CommandTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_ / name; }
  /// The words of all parts, separated by spaces; "@name" is a file of the test's folder.
  template <class... Parts>
  Arguments words(const Parts&... parts) const {
    return words_of({parts...});
  }
  /// Waits for a file to have this number of lines, while the process works.
  void wait_for_lines(Process& process, const std::string& name, size_t lines) const;
  /// Kills a training at random moments, and resumes it, until `kills` have hit; expects the model
  /// and the log, but for its times, of a training that is left alone.
  void expect_same_bits_when_killed(const Arguments& run, int kills) const;

  TestFolder folder_;

 private:
  Arguments words_of(std::initializer_list<std::string_view> parts) const;
};

/// The lines of a text, without their newlines.
std::vector<std::string> lines_of(const std::string& text);
/// The cells of a line, separated by tabs.
std::vector<std::string> cells_of(const std::string& line);
/// The records of a run's log, without their checks. Fails the test at a line that is not whole.
std::vector<nlohmann::json> read_log(const std::string& path);
/// An entry of a safetensors file's metadata that is JSON.
nlohmann::json metadata_json(const std::string& path, const std::string& key);
/// The users' vectors in a model's file.
std::vector<float> user_vectors(const std::string& path);
/// The figures that `derrd evaluate` gives for a model.
nlohmann::json evaluated(const std::string& data, const std::string& model);

/// Epochs of a small training that takes long enough to be killed in its midst.
#ifdef DERRD_PTX_EXECUTOR  // takes twenty times the time
constexpr int kLongTraining = 15;
#else
constexpr int kLongTraining = 300;
#endif

struct DatasetSize {
  int64_t users, items, interactions, candidates;
};
/// A synthetic data set, split; also at `path`.
Dataset write_dataset(const std::string& path, DatasetSize size);

/// A data set to train on in milliseconds, at folder / "data".
Dataset write_small_dataset(const TestFolder& folder);

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
