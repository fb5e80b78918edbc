#pragma once

#include <chrono>
#include <string>

#include "engine/evaluation/early_stopping.h"
#include "engine/training/trainer.h"

namespace derrd {

/// Limits of a training's length.
struct ProgressLimits {
  int epochs = 0;
  int patience = 0;  ///< epochs without improvement after which training stops
};

/// Shows a training's progress on stderr. A terminal gets one line that is rewritten after every
/// epoch; a file gets a line for the first epoch, every tenth epoch, and every 10 seconds.
class Progress {
 public:
  Progress(ProgressLimits limits, bool quiet);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const EpochRecord& record, const EarlyStopping& early_stopping);
  /// Ends the rewritten line, so that other text may follow.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  ProgressLimits limits_;
  bool quiet_;
  bool terminal_;
  int shown_epochs_ = 0;
  double seconds_per_epoch_ = 0;  // of the last epochs: DE's become shorter
  Clock::time_point last_line_ = Clock::now();
};

/// Describes an epoch in a line: its number, the longest time left, the decisive validation metric
/// and the best one so far (where there are validation items), the losses, and further
/// measurements. Fields beyond `width` are left out from the end.
std::string progress_line(const EpochRecord& record, const EarlyStopping& early_stopping,
                          const ProgressLimits& limits, double seconds_per_epoch, size_t width);

/// Writes a duration as "12h", "1h05m", "3m20s" or "12s".
std::string format_duration(double seconds);

}  // namespace derrd
