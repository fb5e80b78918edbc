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

  /// [items] rows of users, ascending.
  SparseRows view() const { return {offsets_.view(), users_.view()}; }

 private:
  DeviceArray<int64_t> offsets_;
  DeviceArray<int32_t> users_;
};

}  // namespace derrd
