#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace derrd {

/// This very program, called with other arguments. It is in a process group of its own, so that
/// Ctrl-C at the terminal reaches only us; it gets a SIGTERM if we die.
class ChildProcess {
 public:
  /// Starts it; what it prints goes to the two files. @throws Error.
  ChildProcess(const std::vector<std::string>& arguments, const std::filesystem::path& output,
               const std::filesystem::path& errors);
  /// Asks it to end, if it hasn't, and waits.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// The exit code once it has ended, as shells tell it: 128 + n after signal n. Doesn't wait.
  std::optional<int> poll();
  /// Asks it to end: a training goes on to the end of its epoch and keeps its state.
  void terminate();

 private:
  pid_t process_ = -1;
  bool terminated_ = false;
  std::optional<int> exit_code_;
};

}  // namespace derrd
