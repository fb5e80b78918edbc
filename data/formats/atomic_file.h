#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace derrd {

/// File that appears complete or not at all: it is written under a name of its own in the same
/// folder, `derrd-<16 hexadecimal digits>.tmp`, and renamed when it is whole and on disk. Without
/// commit(), also after an error, the destructor removes it. While it is written it is locked, so
/// that remove_leftovers() knows it from those of dead processes.
class AtomicFile {
 public:
  /// Creates the temporary file. The first one that a process creates in a folder removes leftovers
  /// there, too.
  /// @throws Error if the file can't be created, or if `path` exists and is not a regular file.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes. @throws Error, for instance if the disk is full.
  void write(std::span<const std::byte> bytes);
  /// Appends text. @throws Error as above.
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Flushes to disk what has been written. @throws Error if that fails.
  void flush();

  /// Flushes to disk and renames the file to `path`. @throws Error if either fails.
  void commit();

 private:
  void create();
  [[noreturn]] void fail(std::string_view what) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

/// Replaces a file by one that holds `text`, atomically. @throws Error as AtomicFile.
void write_text(const std::filesystem::path& path, std::string_view text);

/// Removes the temporary files that killed processes have left in a folder. Those of processes that
/// still write, on this machine or another one, are locked and stay. Where the file system has no
/// locks, all stay. Ignores errors: what stays does no harm.
void remove_leftovers(const std::filesystem::path& folder);

}  // namespace derrd
