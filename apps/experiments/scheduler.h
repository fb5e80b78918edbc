#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/experiments/child_process.h"
#include "apps/experiments/run.h"
#include "apps/experiments/run_progress.h"
#include "apps/experiments/run_times.h"

namespace derrd {

struct ScheduleOptions {
  int jobs = 1;     ///< runs at a time
  int threads = 1;  ///< host threads of all runs together
  bool quiet = false;
};

enum class Outcome {
  kKept,      ///< finished before
  kFinished,  ///< finished now
  kFailed,    ///< its output has been shown
  kSkipped    ///< something that it needs failed
};

/// Carries out runs, each a process of its own, several at a time: what has most work behind it
/// first, finished ones not again unless their product is damaged. A run that fails ends those that
/// need it; the others go on.
class Scheduler {
 public:
  /// @param runs each after those that it needs; outlive this.
  Scheduler(const std::vector<Run>& runs, ScheduleOptions options);

  /// The outcome of each run. After SIGINT or SIGTERM the runs are asked to end and to keep their
  /// state. @throws Interrupted then; Error if a folder can't be written.
  std::vector<Outcome> carry_out();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kWaiting, kRunning, kEnded };
  struct Task {
    Phase phase = Phase::kWaiting;
    Outcome outcome = Outcome::kSkipped;
    int threads = 0;
    Clock::time_point start;
    std::unique_ptr<ChildProcess> process;
  };

  void keep_finished();
  void skip_orphans();
  void start_ready();
  void start(size_t i, int threads);
  void collect();
  void end(size_t i, int exit_code);
  void show_status();
  /// Seconds until everything is finished.
  std::optional<double> seconds_left() const;
  std::string describe_end(const Run& run, double seconds) const;
  bool ready(size_t i) const;
  size_t count(Phase phase) const;

  const std::vector<Run>& runs_;
  ScheduleOptions options_;
  std::vector<Task> tasks_;
  RunTimes times_;
  RunProgress progress_;
  bool ending_ = false;  // a signal asked for it
};

}  // namespace derrd
