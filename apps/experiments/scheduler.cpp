#include "apps/experiments/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>
#include <utility>

#include "apps/cli/interrupt.h"
#include "apps/cli/progress.h"
#include "apps/experiments/results.h"
#include "apps/experiments/run_memory.h"
#include "apps/experiments/run_state.h"
#include "data/error.h"

namespace derrd {

Scheduler::Scheduler(const std::vector<ExperimentRun>& runs, ScheduleOptions options)
    : runs_(runs), options_(options), tasks_(runs.size()), progress_(options.quiet) {}

std::vector<RunOutcome> Scheduler::run() {
  constexpr auto kPause = std::chrono::milliseconds(20);
  keep_finished();
  while (true) {
    if (InterruptWatch::signal() != 0) {
      for (Task& task : tasks_) {
        if (task.process) task.process->terminate();
      }
    } else {
      skip_orphans();
      start_ready();
    }
    if (count(Phase::kRunning) == 0) break;
    std::this_thread::sleep_for(kPause);
    collect();
    show_status();
  }
  // A signal may also have come while nothing ran, and have kept runs from their start.
  if (InterruptWatch::signal() != 0) {
    throw Interrupted(fmt::format("interrupted after {} of {} runs; the same command continues",
                                  count(Phase::kEnded), runs_.size()),
                      InterruptWatch::signal());
  }
  std::vector<RunOutcome> outcomes;
  for (const Task& task : tasks_) outcomes.push_back(task.outcome);
  return outcomes;
}

void Scheduler::keep_finished() {
  for (size_t i = 0; i < runs_.size(); ++i) {
    const RunState state = state_of(runs_[i]);
    if (state.damaged) {
      progress_.complain(
          fmt::format("{}: what was there is damaged or incomplete; the run is done again",
                      runs_[i].folder.string()));
      delete_run(runs_[i]);
    }
    if (!state.finished) continue;
    delete_leftovers(runs_[i]);
    tasks_[i].phase = Phase::kEnded;
    tasks_[i].outcome = RunOutcome::kKept;
  }
  if (const size_t kept = count(Phase::kEnded); kept > 0) {
    progress_.line(fmt::format("{} of {} runs are finished already", kept, runs_.size()));
  }
}

void Scheduler::skip_orphans() {
  for (size_t i = 0; i < runs_.size(); ++i) {
    const auto lost = [&](size_t needed) {
      return tasks_[needed].phase == Phase::kEnded && tasks_[needed].outcome >= RunOutcome::kFailed;
    };
    if (tasks_[i].phase != Phase::kWaiting) continue;
    const auto needed = std::ranges::find_if(runs_[i].needs, lost);
    if (needed == runs_[i].needs.end()) continue;
    tasks_[i].phase = Phase::kEnded;
    progress_.complain(
        fmt::format("{}: left out, it needs {}", runs_[i].title(), runs_[*needed].title()));
  }
}

bool Scheduler::ready(size_t i) const {
  return tasks_[i].phase == Phase::kWaiting &&
         std::ranges::all_of(runs_[i].needs,
                             [&](size_t needed) { return tasks_[needed].phase == Phase::kEnded; });
}

size_t Scheduler::count(Phase phase) const {
  return static_cast<size_t>(std::ranges::count(tasks_, phase, &Task::phase));
}

void Scheduler::start_ready() {
  std::vector<size_t> shared, alone;
  int free_threads = options_.threads;
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (ready(i)) (runs_[i].alone ? alone : shared).push_back(i);
    if (tasks_[i].phase != Phase::kRunning) continue;
    if (runs_[i].alone) return;
    free_threads -= tasks_[i].threads;
  }
  const size_t running = count(Phase::kRunning);
  if (shared.empty() && running == 0 && !alone.empty()) {
    start(alone.front(), options_.threads);
    return;
  }
  const size_t free_jobs = static_cast<size_t>(options_.jobs) - running;
  shared.resize(std::min(shared.size(), free_jobs));
  for (size_t s = 0; s < shared.size(); ++s) {
    if (!has_memory(shared[s])) return;  // nor do later runs go first, or it might wait for ever
    const int threads = std::max(1, free_threads / static_cast<int>(shared.size() - s));
    start(shared[s], threads);
    free_threads -= threads;
  }
}

bool Scheduler::has_memory(size_t i) {
  if (options_.jobs == 1) return true;
  Task& task = tasks_[i];
  ToldMemory others;  // of the trainings in progress
  for (const Task& other : tasks_) {
    if (other.phase != Phase::kRunning || !other.memory) continue;
    others.peak.device += other.memory->peak.device;
    others.peak.host += other.memory->peak.host;
    others.together += other.memory->together;
  }
  if (!std::exchange(task.was_asked, true)) {
    task.memory = memory_of(runs_[i]);
    if (task.memory && others.together == 0) available_ = task.memory->available;
  }
  if (InterruptWatch::signal() != 0) return false;
  if (!task.memory || others.together == 0) return true;
  ToldMemory all = *task.memory;
  all.peak.device += others.peak.device;
  all.peak.host += others.peak.host;
  all.together += others.together;
  if (fits(all.peak, all.together, available_)) return true;
  if (!std::exchange(task.has_waited, true)) {
    progress_.line(fmt::format("{}: waits for memory: it needs {}", runs_[i].title(),
                               describe_peak(*task.memory)));
  }
  return false;
}

void Scheduler::start(size_t i, int threads) {
  const ExperimentRun& run = runs_[i];
  std::error_code error;
  std::filesystem::create_directories(run.folder, error);
  if (error) {
    throw Error(fmt::format("{}: can't hold a run ({}); move it away", run.folder.string(),
                            error.message()));
  }
  std::ofstream(run.file(kCommandFile)) << command_line(run) << "\n";
  record_start(run);
  std::vector<std::string> arguments = full_arguments(run);
  arguments.push_back(fmt::format("--threads={}", threads));
  Task& task = tasks_[i];
  task.process =
      std::make_unique<ChildProcess>(arguments, run.file(kOutputFile), run.file(kErrorFile));
  task.phase = Phase::kRunning;
  task.threads = threads;
  task.start = Clock::now();
}

void Scheduler::collect() {
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (tasks_[i].phase != Phase::kRunning) continue;
    if (const std::optional<int> exit_code = tasks_[i].process->poll()) end(i, *exit_code);
  }
}

void Scheduler::end(size_t i, int exit_code) {
  const ExperimentRun& run = runs_[i];
  Task& task = tasks_[i];
  task.process.reset();
  const std::chrono::duration<double> seconds = Clock::now() - task.start;
  record_end(run, {seconds.count(), exit_code});
  if (exit_code != 0 && InterruptWatch::signal() != 0) {
    task.phase = Phase::kWaiting;  // the next call continues it
    return;
  }
  task.phase = Phase::kEnded;
  const RunState state = state_of(run);
  if (state.finished) {
    task.outcome = RunOutcome::kFinished;
    delete_leftovers(run);
    progress_.line(describe_end(run, state.seconds));
    return;
  }
  task.outcome = RunOutcome::kFailed;
  constexpr size_t kLines = 8;
  std::string output = tail_of(run.file(kErrorFile), kLines);
  if (output.empty()) output = tail_of(run.file(kOutputFile), kLines);
  progress_.complain(
      fmt::format("{}: FAILED with exit code {}; {}\n{}", run.title(), exit_code,
                  output.empty() ? "it printed nothing in" : "the end of its output in",
                  run.folder.string() + (output.empty() ? "" : ":\n" + output)));
}

std::string Scheduler::describe_end(const ExperimentRun& run, double seconds) const {
  std::string text = fmt::format("[{}/{}] {}", count(Phase::kEnded), runs_.size(), run.title());
  if (run.epochs > 0) {
    const TrainingResult result = read_training(run);
    const auto hit = result.valid.find("H@5");
    text += fmt::format(": validation H@5 {} at epoch {} of {}",
                        hit == result.valid.end() ? "-" : fmt::format("{:.4f}", hit->second),
                        result.best_epoch, result.epochs);
  }
  return text + ", " + format_duration(seconds);
}

void Scheduler::show_status() {
  if (!progress_.due()) return;
  std::string text = fmt::format("{}/{} runs", count(Phase::kEnded), runs_.size());
  const char* separator = "; ";
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (tasks_[i].phase != Phase::kRunning) continue;
    text += separator + runs_[i].title();
    if (const auto epoch = last_epoch(runs_[i])) text += fmt::format(" epoch {}", *epoch);
    separator = ", ";
  }
  progress_.status(text);
}

}  // namespace derrd
