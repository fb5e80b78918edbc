#pragma once

// Checks of launchers: what does not fit is refused in words, with the shapes.

#include <cstdint>
#include <stdexcept>
#include <string>

#include "kernels/platform/views.h"

namespace derrd {

/// @throws std::invalid_argument unless `matrix` is [rows, cols].
template <class T>
void require_shape(const char* operation, const char* name, Matrix<T> matrix, int64_t rows,
                   int64_t cols) {
  if (matrix.rows == rows && matrix.cols == cols) return;
  const auto text = [](int64_t r, int64_t c) {
    return "[" + std::to_string(r) + ", " + std::to_string(c) + "]";
  };
  throw std::invalid_argument(std::string(operation) + ": " + name + " is " +
                              text(matrix.rows, matrix.cols) + ", expected " + text(rows, cols));
}

/// @throws std::invalid_argument unless `vector` is [size].
template <class T>
void require_size(const char* operation, const char* name, Vector<T> vector, int64_t size) {
  if (vector.size == size) return;
  throw std::invalid_argument(std::string(operation) + ": " + name + " is [" +
                              std::to_string(vector.size) + "], expected [" + std::to_string(size) +
                              "]");
}

/// @throws std::invalid_argument unless `matrix` has the columns [first, first + cols).
template <class T>
void require_columns(const char* operation, const char* name, Matrix<T> matrix, int64_t first,
                     int64_t cols) {
  if (first >= 0 && first + cols <= matrix.cols) return;
  throw std::invalid_argument(std::string(operation) + ": " + name + " has " +
                              std::to_string(matrix.cols) + " columns, expected " +
                              std::to_string(cols) + " from " + std::to_string(first) + " on");
}

}  // namespace derrd
