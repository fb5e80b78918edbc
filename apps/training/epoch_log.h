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
  /// line torn by a crash. Warns if the log is new and lacks the earlier ones.
  /// @param hash hash() when these epochs had been written
  /// @throws Error as the constructor; or if the log has other records than these.
  void start(int next_epoch, const std::string& hash);

  /// Appends a record. @throws Error if it can't be written.
  void write(const EpochRecord& record);
  /// Waits until all records are on disk, where no crash of the system loses them.
  /// @throws Error if that fails.
  void flush();
  /// Returns the hash of all records: extend_log_hash() from line to line.
  const std::string& hash() const { return hash_; }

 private:
  void open(int flags);

  std::filesystem::path path_;
  std::string hash_;
  int descriptor_ = -1;  // -1: there is no such file yet
};

}  // namespace derrd
