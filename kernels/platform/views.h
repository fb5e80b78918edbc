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

/// The number of active rows of a batch's matrices, [N, ...] each, where N is what the largest
/// batch needs. It lies in device memory, so that the launches of a step are the same for every
/// batch.
///
/// Rows 0 .. count - 1 are active: they hold the batch. The contract for the inactive rows behind
/// them, which every operation that takes an ActiveRows keeps unless it says otherwise:
///   - an input is finite there, its value does not matter;
///   - an output holds no result there, not even a finite one.
/// Where an operation says "cleared", these rows are 0: an output's on return, an input's before.
struct ActiveRows {
  const int32_t* count = nullptr;  ///< device memory, 0 .. N; null: all rows are active

  ActiveRows() = default;
  /// A count in device memory stands for its active rows.
  DERRD_HOST_DEVICE ActiveRows(const int32_t* device_count) : count(device_count) {}

  /// The number of active ones of N rows. For kernels: `count` is the device's.
  DERRD_HOST_DEVICE int64_t of(int64_t rows) const { return count == nullptr ? rows : *count; }
};

/// Compressed sparse rows: row r holds items[offsets[r] .. offsets[r + 1]), ascending and distinct.
struct SparseRows {
  Vector<const int64_t> offsets;  ///< [rows + 1]
  Vector<const int32_t> items;    ///< [offsets[rows]]
};

}  // namespace derrd
