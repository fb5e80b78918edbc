#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/formats/safetensors.h"
#include "engine/models/model_file.h"

namespace derrd {

/// Reads the matrices of a model from a file, with messages that name file, tensor and cure.
class TensorReader {
 public:
  explicit TensorReader(const SafetensorsFile& file) : file_(file) {}

  /// A row for each user or item of the data set.
  /// @param rows how many there are, @param what "users" or "items".
  /// @throws Error unless it is a matrix of so many rows, at least a column and finite numbers.
  HostMatrix table(const std::string& name, int64_t rows, const char* what) const;
  /// @throws Error unless it is a matrix [rows, cols] of finite numbers.
  HostMatrix matrix(const std::string& name, int64_t rows, int64_t cols) const;

  const SafetensorsFile& file() const { return file_; }

 private:
  HostMatrix finite(const std::string& name) const;

  const SafetensorsFile& file_;
};

}  // namespace derrd
