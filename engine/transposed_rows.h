#pragma once

#include <cstdint>

#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sparse rows turned round: for every item the users in whose rows it stands.
class TransposedRows {
 public:
  /// Waits for the stream.
  /// @param items of the table; every entry of `rows` is below it
  TransposedRows(SparseRows rows, int64_t items, const Stream& stream);

  /// [items] rows of users, ascending.
  SparseRows view() const { return {offsets_.view(), users_.view()}; }

 private:
  DeviceArray<int64_t> offsets_;
  DeviceArray<int32_t> users_;
};

}  // namespace derrd
