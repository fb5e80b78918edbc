#pragma once

#include <filesystem>
#include <fstream>

#include "engine/training/trainer.h"

namespace derrd {

/// Log of a training: a line of JSON per epoch. data/README.md lists the keys.
class EpochLog {
 public:
  /// Starts a new log, or continues one from `next_epoch` on. An existing log keeps the records of
  /// earlier epochs; later records and lines torn by a crash are removed.
  /// @throws Error if it can't be written.
  EpochLog(std::filesystem::path path, int next_epoch);

  /// Appends a record and flushes the file. @throws Error if it can't be written.
  void write(const EpochRecord& record);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace derrd
