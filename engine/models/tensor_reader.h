#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/formats/safetensors.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Reads the matrices of a model from a file, with messages that name file, tensor and cure.
class TensorReader {
 public:
  explicit TensorReader(const SafetensorsFile& file) : file_(file) {}

  /// Reads a table with a row for each user or item.
  /// @param rows number of these users or items
  /// @param what "users" or "items", for messages
  /// @throws Error unless the tensor is a matrix of `rows` rows, at least one column, and finite
  /// numbers.
  HostMatrix table(const std::string& name, int64_t rows, const char* what) const;
  /// Reads a matrix.
  /// @throws Error unless the tensor is a matrix [rows, cols] of finite numbers.
  HostMatrix matrix(const std::string& name, int64_t rows, int64_t cols) const;

  /// Reads a number per row.
  /// @throws Error unless the tensor is [rows] or [rows, 1], and finite.
  std::vector<float> column(const std::string& name, int64_t rows) const;

  const SafetensorsFile& file() const { return file_; }

 private:
  HostMatrix finite(const std::string& name, int64_t rows, int64_t cols) const;

  const SafetensorsFile& file_;
};

}  // namespace derrd
