#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/platform/device.h"

namespace derrd {

/// Bytes of device memory that are allocated, and the most that were so at once.
class MemoryCount {
 public:
  /// @param bytes allocated; negative: freed
  void add(int64_t bytes) noexcept {
    const int64_t now = now_ += bytes;
    int64_t peak = peak_;
    while (peak < now && !peak_.compare_exchange_weak(peak, now)) {
    }
  }
  int64_t now() const noexcept { return now_; }
  int64_t peak() const noexcept { return peak_; }
  /// Forgets the past.
  void restart_peak() noexcept { peak_ = now_.load(); }

 private:
  std::atomic<int64_t> now_{0}, peak_{0};
};

/// The error of an allocation that failed.
/// @param asked, allocated, available bytes: of this allocation, of those before it, still there
inline DeviceError out_of_memory(int64_t asked, int64_t allocated,
                                 std::optional<int64_t> available) {
  std::string text = "out of memory: asked for " + std::to_string(asked) + " bytes beside " +
                     std::to_string(allocated) + " that are allocated";
  if (available) text += ", and " + std::to_string(*available) + " are available";
  return DeviceError(text + "; end other programs, or give this one less work at a time");
}

}  // namespace derrd
