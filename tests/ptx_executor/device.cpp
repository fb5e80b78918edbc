#include "tests/ptx_executor/device.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace derrd::ptx {

namespace {

constexpr uint64_t kAlign = 512;
constexpr uint64_t kGuard =
    4096;  // between allocations: an index that runs over meets nobody else's bytes
constexpr uint64_t kFilled = uint64_t{64} << 20;

}  // namespace

DeviceMemory& DeviceMemory::instance() {
  static auto* memory = new DeviceMemory;  // outlives the statics of the program
  return *memory;
}

DeviceMemory::DeviceMemory() {
  const auto map = [](uint64_t begin, int rights) {
    void* at = mmap(reinterpret_cast<void*>(begin), kDeviceRange, rights,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != reinterpret_cast<void*>(begin)) {
      std::fprintf(stderr, "ptx-executor: the address range of the device is taken\n");
      std::abort();
    }
  };
  map(kDeviceBase, PROT_NONE);
  map(kDeviceBase + kBacking, PROT_READ | PROT_WRITE);
  next_ = kDeviceBase + kGuard;
  if (const char* bytes = std::getenv("PTX_EXECUTOR_MEMORY"); bytes != nullptr && *bytes != '\0')
    capacity_ = std::strtoull(bytes, nullptr, 10);
}

uint64_t DeviceMemory::allocate(uint64_t bytes, const std::string& name) {
  const std::unique_lock lock(mutex_);
  if (live_bytes_ > capacity_ || bytes > capacity_ - live_bytes_ ||
      next_ + bytes + 2 * kGuard > kDeviceBase + kDeviceRange)
    return 0;
  const uint64_t begin = next_;
  next_ = (begin + bytes + kGuard + kAlign - 1) / kAlign * kAlign;
  live_bytes_ += bytes;
  allocations_.emplace(begin,
                       Allocation{begin, bytes, true, !name.empty(),
                                  name.empty() ? fmt::format("allocation #{}", ++count_) : name});
  std::memset(this->bytes(begin), 0xFF, std::min(bytes, kFilled));
  return begin;
}

bool DeviceMemory::release(uint64_t address) {
  const std::unique_lock lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || !found->second.live) return false;
  found->second.live = false;
  live_bytes_ -= found->second.size;
  const uint64_t first = (address + 4095) / 4096 * 4096;
  const uint64_t last = (address + found->second.size) / 4096 * 4096;
  if (last > first) madvise(bytes(first), last - first, MADV_DONTNEED);
  return true;
}

const Allocation* DeviceMemory::find(uint64_t address, uint64_t bytes) const {
  const std::shared_lock lock(mutex_);
  auto found = allocations_.upper_bound(address);
  if (found == allocations_.begin()) return nullptr;
  const Allocation& allocation = (--found)->second;
  if (!allocation.live || address - allocation.begin + bytes > allocation.size) return nullptr;
  return &allocation;
}

std::string DeviceMemory::describe(uint64_t address) const {
  if (!is_device(address)) return fmt::format("{:#x}, not an address of the device", address);
  const std::shared_lock lock(mutex_);
  auto found = allocations_.upper_bound(address);
  if (found == allocations_.begin()) return fmt::format("{:#x}, in no allocation", address);
  const Allocation& before = (--found)->second;
  const uint64_t offset = address - before.begin;
  if (offset >= before.size)
    return fmt::format("{:#x}, {} bytes behind the end of {} of {} bytes{}", address,
                       offset - before.size, before.name, before.size,
                       before.live ? "" : " (freed)");
  return fmt::format("{:#x}, byte {} of {} of {} bytes{}", address, offset, before.name,
                     before.size, before.live ? "" : ", which is freed");
}

}  // namespace derrd::ptx
