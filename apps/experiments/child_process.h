#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace derrd {

/// Another process of this program, with its own arguments. It has its own process group, so that
/// Ctrl-C at the terminal reaches only the parent. It gets a SIGTERM if the parent dies.
class ChildProcess {
 public:
  /// Starts the process, with its output in two files. @throws Error if it can't be started.
  ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& output,
               const std::filesystem::path& errors);
  /// Asks the process to end and waits for it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Returns the exit code, 128 + n after signal n; none while the process runs. Doesn't wait.
  std::optional<int> poll();
  /// Asks the process to end: a training finishes its epoch and saves its state.
  void terminate();

 private:
  pid_t process_ = -1;
  bool terminated_ = false;
  std::optional<int> exit_code_;
};

}  // namespace derrd
