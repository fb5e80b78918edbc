#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace derrd {

/// Array of a NumPy file
/// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;  ///< row-major
};

/// Reads versions 1 to 3 of the format: float16, float32 or float64, little-endian, in C order.
/// Half precision converts exactly, double precision is rounded to the nearest float. Reading is
/// strict, and nothing is allocated beyond a small multiple of the file's own size.
/// @throws Error that names the file, what is wrong and the cure; also if a list of checksums has
/// another one (check_by_list).
NpyArray read_npy(const std::filesystem::path& path);

/// Reads an array from memory; `name` stands for the file in messages. @throws Error if it is no
/// such array.
NpyArray parse_npy(std::span<const std::byte> bytes, std::string_view name);

/// Beginning of a file of version 1 of the format, behind which row-major float32 values follow.
/// @throws Error if the shape has more dimensions than the format allows.
std::string npy_header(const std::vector<int64_t>& shape);

}  // namespace derrd
