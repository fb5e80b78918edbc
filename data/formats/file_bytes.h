#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace derrd {

/// The contents of a regular file. \throws Error if there is none or it can't be read.
std::vector<std::byte> read_file(const std::filesystem::path& path);
/// The same as text.
std::string read_text(const std::filesystem::path& path);

}  // namespace derrd
