#pragma once

// Device memory: addresses that the host cannot touch, and the bytes behind them.
//
// A device pointer lies in a reserved range without access rights, so that a host that dereferences
// one is stopped there. Its bytes lie kBacking further on. Addresses are never handed out twice: a
// use after a free is always seen.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>
#include <string>

namespace derrd::ptx {

constexpr uint64_t kDeviceBase = 0x2000'0000'0000;
constexpr uint64_t kDeviceRange = uint64_t{1} << 41;
constexpr uint64_t kBacking = kDeviceRange;

// Where generic addresses of other spaces lie.
constexpr uint64_t kWindow = uint64_t{1} << 24;
constexpr uint64_t kSharedWindow = kDeviceBase - kWindow;
constexpr uint64_t kLocalWindow = kDeviceBase - 2 * kWindow;
constexpr uint64_t kParamWindow = kDeviceBase - 3 * kWindow;

/// Limits and sizes of the device that the executor poses as: an H200.
namespace h200 {
constexpr int kProcessors = 132;
constexpr int kThreadsPerBlock = 1024;
constexpr int kThreadsPerProcessor = 2048;
constexpr int kBlocksPerProcessor = 32;
constexpr int kRegisters = 65536;  ///< in a multiprocessor, and at most in a block
constexpr int kSharedPerBlock = 48 * 1024;
constexpr int kSharedOptIn = 227 * 1024;  ///< per block, after cudaFuncSetAttribute
constexpr int kSharedPerProcessor = 228 * 1024;
constexpr int kSharedReserved = 1024;  ///< in each block, by the system
constexpr int kCache = 60 << 20;
constexpr uint64_t kMemory = 150'754'820'096;
}  // namespace h200

struct Allocation {
  uint64_t begin = 0;
  uint64_t size = 0;
  bool live = true;
  bool code_owned = false;  ///< a variable of a module, no leak
  std::string name;         ///< a variable's name, or the number of the allocation
};

class DeviceMemory {
 public:
  static DeviceMemory& instance();

  /// 0 if there is not enough. The bytes are filled with 0xFF: NaN as floats, -1 as integers.
  uint64_t allocate(uint64_t bytes, const std::string& name = {});
  /// False if nothing live begins there.
  bool release(uint64_t address);
  /// The live allocation that holds [address, address + bytes), or null.
  const Allocation* find(uint64_t address, uint64_t bytes) const;
  /// "4 bytes behind the end of allocation #7 (1024 bytes)", for messages.
  std::string describe(uint64_t address) const;
  uint64_t live_bytes() const { return live_bytes_; }
  /// Bytes of the device's memory: an H200's, or PTX_EXECUTOR_MEMORY.
  uint64_t capacity() const { return capacity_; }
  const std::map<uint64_t, Allocation>& allocations() const { return allocations_; }

  static bool is_device(uint64_t address) { return address - kDeviceBase < kDeviceRange; }
  static bool is_device(const void* pointer) {
    return is_device(reinterpret_cast<uint64_t>(pointer));
  }
  /// Bytes behind a device address.
  static std::byte* bytes(uint64_t address) {
    return reinterpret_cast<std::byte*>(address + kBacking);
  }

 private:
  DeviceMemory();
  mutable std::shared_mutex mutex_;
  std::map<uint64_t, Allocation> allocations_;  // the freed ones too
  uint64_t next_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t capacity_ = h200::kMemory;
  uint64_t count_ = 0;
};

}  // namespace derrd::ptx
