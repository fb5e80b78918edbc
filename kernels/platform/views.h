#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/platform/qualifiers.h"

namespace derrd {

/// A non-owning row of `size` elements on the device; passed to kernels by value.
template <class T>
struct Vector {
  T* data = nullptr;
  int64_t size = 0;

  DERRD_HOST_DEVICE T& operator[](int64_t i) const {
    DERRD_CHECK_INDEX(i, size);
    return data[i];
  }
  /// The `count` elements from `begin` on.
  DERRD_HOST_DEVICE Vector slice(int64_t begin, int64_t count) const {
    return {data + begin, count};
  }
  /// Read-only access is granted implicitly.
  template <class C>
  requires(std::is_same_v<C, const T> && !std::is_const_v<T>) DERRD_HOST_DEVICE operator Vector<C>()
      const {
    return {data, size};
  }
};

/// A non-owning row-major matrix [rows, cols] on the device, rows adjacent; passed to kernels by
/// value.
template <class T>
struct Matrix {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  /// Pointer to the `cols` elements of row `r`.
  DERRD_HOST_DEVICE T* row(int64_t r) const {
    DERRD_CHECK_INDEX(r, rows);
    return data + r * cols;
  }
  /// Rows [begin, begin + count).
  DERRD_HOST_DEVICE Matrix slice(int64_t begin, int64_t count) const {
    return {data + begin * cols, count, cols};
  }
  DERRD_HOST_DEVICE int64_t size() const { return rows * cols; }
  DERRD_HOST_DEVICE Vector<T> flat() const { return {data, rows * cols}; }
  /// Read-only access is granted implicitly.
  template <class C>
  requires(std::is_same_v<C, const T> && !std::is_const_v<T>) DERRD_HOST_DEVICE operator Matrix<C>()
      const {
    return {data, rows, cols};
  }
};

/// Compressed sparse rows: row r holds items[offsets[r] .. offsets[r + 1]), ascending and distinct.
struct SparseRows {
  Vector<const int64_t> offsets;  ///< [rows + 1]
  Vector<const int32_t> items;    ///< [offsets[rows]]
};

}  // namespace derrd
