#pragma once

#include <chrono>
#include <string>

namespace derrd {

/// Shows the progress of many runs on stderr: lines that stay, and a status line. On a terminal the
/// status line is rewritten; a file gets it once a minute.
class RunProgress {
 public:
  explicit RunProgress(bool quiet);
  ~RunProgress();
  RunProgress(const RunProgress&) = delete;
  RunProgress& operator=(const RunProgress&) = delete;

  /// Prints a line, unless quiet.
  void line(const std::string& text);
  /// Prints a line even if quiet.
  void complain(const std::string& text);
  /// Replaces the status line if it is due.
  void status(const std::string& text);
  /// Returns true if the status line is due.
  bool due() const;

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_, terminal_;
  Clock::time_point last_status_ = Clock::now();
};

}  // namespace derrd
