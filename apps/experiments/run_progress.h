#pragma once

#include <chrono>
#include <string>

namespace derrd {

/// Tells on stderr how many runs go: lines that stay, and below them on a terminal one that is
/// rewritten; without a terminal that one appears once a minute.
class RunProgress {
 public:
  explicit RunProgress(bool quiet);
  ~RunProgress();
  RunProgress(const RunProgress&) = delete;
  RunProgress& operator=(const RunProgress&) = delete;

  void line(const std::string& text);
  /// A line that is shown even if there shall be no progress.
  void complain(const std::string& text);
  void status(const std::string& text);
  /// Whether a status would be shown now.
  bool due() const;

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_, terminal_;
  bool status_open_ = false;
  Clock::time_point last_status_ = Clock::now();
};

}  // namespace derrd
