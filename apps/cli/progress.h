#pragma once

#include <chrono>
#include <string>

#include "engine/training/early_stopping.h"
#include "engine/training/trainer.h"

namespace derrd {

/// When a training ends at the latest.
struct ProgressLimits {
  int epochs = 0;
  int patience = 0;  ///< epochs without improvement after which training stops
};

/// Tells on stderr how a training goes: on a terminal one line that is rewritten after every epoch,
/// otherwise a line for the first epoch, every tenth, and whenever 10 seconds have passed.
class Progress {
 public:
  struct Options {
    ProgressLimits limits;
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

  Options options_;
  bool terminal_;
  bool line_open_ = false;
  int shown_epochs_ = 0;
  double seconds_per_epoch_ = 0;  // of the last ones: DE's epochs get shorter as it goes
  Clock::time_point last_line_ = Clock::now();
};

/// An epoch in a line: epoch, time left at most, validation H\@5 and its best, losses by part, and
/// behind them what an 80-column terminal may have no room for. Fields that would go beyond `width`
/// are left out from the end; up to epoch 999 all but those last fit into 79 columns.
std::string progress_line(const EpochRecord& record, const EarlyStopping& early_stopping,
                          const ProgressLimits& limits, double seconds_per_epoch, size_t width);

/// Columns of the terminal behind stderr.
size_t terminal_width();

/// "12h", "1h05m", "3m20s" or "12s".
std::string format_duration(double seconds);

}  // namespace derrd
