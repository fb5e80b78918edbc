#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace derrd {

/// File that appears complete or not at all: it is written as `<path>.tmp-<pid>` in the same
/// folder and renamed when it is whole and on disk. Without commit(), also after an error, the
/// destructor removes it.
class AtomicFile {
 public:
  /// @throws Error if the file can't be created, or if `path` exists and is not a regular file.
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes. @throws Error, for instance if the disk is full.
  void write(std::span<const std::byte> bytes);
  /// Appends text. @throws Error as above.
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Flushes to disk and renames the file to `path`. @throws Error if either fails.
  void commit();

 private:
  [[noreturn]] void fail(std::string_view what) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

/// Replaces a file by one that holds `text`, atomically. @throws Error as AtomicFile.
void write_text(const std::filesystem::path& path, std::string_view text);

}  // namespace derrd
