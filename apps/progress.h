#pragma once

#include <chrono>
#include <string>

#include "engine/early_stopping.h"
#include "engine/trainer.h"

namespace derrd {

/// Tells on stderr how a training goes: on a terminal one line that is rewritten after every epoch,
/// otherwise a line for the first epoch, every tenth, and whenever 10 seconds have passed.
class Progress {
 public:
  struct Options {
    int epochs = 0;    ///< at most
    int patience = 0;  ///< epochs without improvement after which training stops
    bool quiet = false;
  };
  explicit Progress(Options options);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const EpochRecord& record, const EarlyStopping& early_stopping);
  /// Leaves the rewritten line as it is and goes to the next; further text may follow.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const EpochRecord& record, const EarlyStopping& early_stopping) const;

  Options options_;
  bool terminal_;
  bool line_open_ = false;
  int shown_epochs_ = 0;
  double seconds_ = 0;  // of all epochs so far
  Clock::time_point last_line_ = Clock::now();
};

/// "1 h 05 min", "3 min 20 s" or "12 s".
std::string format_duration(double seconds);

}  // namespace derrd
