#pragma once

#include <filesystem>
#include <string>

#include "engine/training/trainer.h"

namespace derrd {

/// Log of a training: a line of JSON per epoch, with a check (data/README.md lists the keys). Only
/// one process at a time can have a log open.
class EpochLog {
 public:
  /// Opens a log if the file exists, and changes nothing in it.
  /// @throws Error if it can't be written, holds something else than a training's log, or belongs
  /// to a training that is running.
  explicit EpochLog(std::filesystem::path path);
  ~EpochLog();
  EpochLog(const EpochLog&) = delete;
  EpochLog& operator=(const EpochLog&) = delete;

  /// Begins at an epoch: keeps the records of earlier ones, and removes what follows them, also a
  /// line torn by a crash. Warns of earlier epochs without a record.
  /// @throws Error as the constructor; or if a damaged line is followed by records to keep.
  void start(int next_epoch);

  /// Appends a record. @throws Error if it can't be written.
  void write(const EpochRecord& record);

 private:
  void open(int flags);

  std::filesystem::path path_;
  int descriptor_ = -1;  // -1: there is no such file yet
};

}  // namespace derrd
