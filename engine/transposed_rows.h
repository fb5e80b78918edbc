#pragma once

#include <cstdint>

#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sparse rows of users, transposed: for every item the users that have it in their row.
class TransposedRows {
 public:
  /// Transposes `rows`. Waits for the stream.
  /// @param items number of items; every entry of `rows` is below it
  TransposedRows(SparseRows rows, int64_t items, const Stream& stream);

  /// Returns the bytes of device memory that `items` rows with `entries` users in all take, and
  /// those of host memory that transposing `users` rows takes besides.
  static int64_t device_bytes(int64_t items, int64_t entries);
  static int64_t host_bytes(int64_t users, int64_t items, int64_t entries);

  /// [items] rows of users, ascending.
  SparseRows view() const { return {offsets_.view(), users_.view()}; }

 private:
  DeviceArray<int64_t> offsets_;
  DeviceArray<int32_t> users_;
};

}  // namespace derrd
