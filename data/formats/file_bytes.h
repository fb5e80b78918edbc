#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace derrd {

/// Contents of a regular file. @throws Error if there is no such file or it can't be read.
std::vector<std::byte> read_file(const std::filesystem::path& path);

/// Contents of a regular file as text. @throws Error as read_file.
std::string read_text(const std::filesystem::path& path);

/// Size of a file in bytes; 0 if there is none, or it can't be told.
int64_t file_size_or_zero(const std::filesystem::path& path);

/// Value at an address that need not be aligned.
template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

}  // namespace derrd
