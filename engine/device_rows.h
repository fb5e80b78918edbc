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

  SparseRows view() const { return {offsets_.view(), items_.view()}; }

 private:
  DeviceArray<int64_t> offsets_;
  DeviceArray<int32_t> items_;
};

}  // namespace derrd
