#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct gzFile_s;

namespace derrd {

/// Bytes of a file, a pipe or standard input, which is read once, from its beginning to its end.
/// Bytes that gzip packed are unpacked, whatever the file's name.
class TextInput {
 public:
  /// Opens a file; `-` is standard input.
  /// @throws Error if there is no such file or it can't be opened.
  explicit TextInput(const std::filesystem::path& path);

  /// Name of the file, for messages.
  const std::string& name() const { return name_; }

  /// Reads the next `size` bytes, fewer at the end; returns how many.
  /// @throws Error if the file can't be read or its packing is damaged.
  size_t read(char* bytes, size_t size);

 private:
  struct Close {
    void operator()(gzFile_s* file) const;
  };
  [[noreturn]] void refuse(std::string_view what) const;

  std::string name_;
  std::unique_ptr<gzFile_s, Close> file_;
};

}  // namespace derrd
