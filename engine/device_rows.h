#pragma once

#include "data/dataset.h"
#include "kernels/platform/device.h"
#include "kernels/platform/memory.h"
#include "kernels/platform/views.h"

namespace derrd {

/// A copy of users' items in device memory.
class DeviceRows {
 public:
  DeviceRows() = default;
  DeviceRows(const InteractionRows& rows, const Stream& stream)
      : offsets_(rows.offsets, stream), items_(rows.items, stream) {}

  /// Returns the bytes of device memory that rows take.
  static int64_t device_bytes(int64_t rows, int64_t items) {
    return (rows + 1) * static_cast<int64_t>(sizeof(int64_t)) +
           items * static_cast<int64_t>(sizeof(int32_t));
  }

  SparseRows view() const { return {offsets_.view(), items_.view()}; }

 private:
  DeviceArray<int64_t> offsets_;
  DeviceArray<int32_t> items_;
};

}  // namespace derrd
