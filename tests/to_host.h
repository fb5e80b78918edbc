#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "kernels/platform/memory.h"
#include "tests/stream.h"

namespace derrd::test {

/// A copy of device memory.
template <class T>
std::vector<std::remove_const_t<T>> to_host(Vector<T> values) {
  std::vector<std::remove_const_t<T>> copy(static_cast<std::size_t>(values.size));
  copy_to_host(copy.data(), values.data, values.size * static_cast<int64_t>(sizeof(T)), stream());
  return copy;
}
template <class T>
auto to_host(Matrix<T> matrix) {
  return to_host(matrix.flat());
}

/// A copy of a matrix on the device, row by row.
template <class T>
std::vector<std::vector<std::remove_const_t<T>>> rows_of(Matrix<T> matrix) {
  const auto all = to_host(matrix);
  std::vector<std::vector<std::remove_const_t<T>>> rows;
  for (auto row = all.begin(); row != all.end(); row += matrix.cols) {
    rows.emplace_back(row, row + matrix.cols);
  }
  return rows;
}

}  // namespace derrd::test
