#pragma once

#include <filesystem>
#include <fstream>

#include "engine/training/trainer.h"

namespace derrd {

/// The records of a run, a JSON object per line and epoch: its number, each loss summed over the
/// epoch, of each distillation loss its weighted part of the base loss, validation and test
/// metrics, seconds by phase, and whether it was the best so far.
class RunLog {
 public:
  /// Starts a new log, or goes on with one: of an existing log the records of epochs before
  /// `next_epoch` stay; those of epochs that will be run again, and a line torn by a crash, go.
  /// @throws Error if it can't be written.
  RunLog(std::filesystem::path path, int next_epoch);

  /// Appends a record; it is in the file when this returns. @throws Error.
  void write(const EpochRecord& record);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace derrd
