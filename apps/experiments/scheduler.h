#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/memory_report.h"
#include "apps/experiments/child_process.h"
#include "apps/experiments/experiment_run.h"
#include "apps/experiments/run_progress.h"

namespace derrd {

struct ScheduleOptions {
  int jobs = 1;     ///< runs at a time
  int threads = 1;  ///< host threads, shared by all runs
  bool quiet = false;
};

/// Outcome of a run.
enum class RunOutcome {
  kKept,      ///< finished in an earlier call
  kFinished,  ///< finished in this call
  kFailed,    ///< its output has been shown
  kSkipped    ///< a run that it needs failed
};

/// Runs experiments in their order and several at a time, each in its own process. Runs that start
/// together share the free threads equally. A training starts if its memory fits beside that of the
/// runs in progress, else it waits. Finished runs are kept unless their product is damaged.
/// Runs that need a failed one are skipped; the others continue.
class Scheduler {
 public:
  /// @param runs each after the runs that it needs; outlive the scheduler
  Scheduler(const std::vector<ExperimentRun>& runs, ScheduleOptions options);

  /// Runs everything and returns the outcome of each run. After a signal of InterruptWatch the runs
  /// save their state and end.
  /// @throws Interrupted after a signal; Error if a folder can't be written.
  std::vector<RunOutcome> run();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase { kWaiting, kRunning, kEnded };
  struct Task {
    Phase phase = Phase::kWaiting;
    RunOutcome outcome = RunOutcome::kSkipped;
    int threads = 0;
    Clock::time_point start;
    std::optional<ToldMemory> memory;  ///< none: not asked yet, or not known
    bool was_asked = false, has_waited = false;
    std::unique_ptr<ChildProcess> process;
  };

  void keep_finished();
  void skip_orphans();
  void start_ready();
  void start(size_t i, int threads);
  void collect();
  void end(size_t i, int exit_code);
  void show_status();
  std::string describe_end(const ExperimentRun& run, double seconds) const;
  bool ready(size_t i) const;
  /// Returns whether there is memory for a run beside those in progress. A run that would be alone
  /// starts in any case, and says itself what it lacks.
  bool has_memory(size_t i);
  size_t count(Phase phase) const;

  const std::vector<ExperimentRun>& runs_;
  ScheduleOptions options_;
  std::vector<Task> tasks_;
  RunProgress progress_;
  AvailableMemory available_;  // when no training was in progress
};

}  // namespace derrd
