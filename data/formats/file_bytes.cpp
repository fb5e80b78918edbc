#include "data/formats/file_bytes.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "data/error.h"

namespace derrd {

namespace {

/// Bytes: a sequence of one-byte elements.
template <class Bytes>
Bytes read(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw Error(fmt::format("{}: there is no such file; check the name", path.string()));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    throw Error(fmt::format("{}: is not a regular file; name a file", path.string()));
  }
  std::ifstream stream(path, std::ios::binary);
  Bytes bytes;
  if (stream) bytes.resize(std::filesystem::file_size(path));
  if (!stream ||
      (!bytes.empty() && !stream.read(reinterpret_cast<char*>(bytes.data()), bytes.size()))) {
    throw Error(fmt::format("{}: can't be read: {}; check its permissions", path.string(),
                            std::strerror(errno)));
  }
  return bytes;
}

}  // namespace

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  return read<std::vector<std::byte>>(path);
}

std::string read_text(const std::filesystem::path& path) { return read<std::string>(path); }

int64_t file_size_or_zero(const std::filesystem::path& path) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace derrd
