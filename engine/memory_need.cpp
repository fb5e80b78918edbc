#include "engine/memory_need.h"

#include <algorithm>
#include <utility>

#include "kernels/platform/device.h"

namespace derrd {

namespace {

bool nothing(MemoryBytes bytes) { return bytes.device == 0 && bytes.host == 0; }

}  // namespace

void MemoryNeed::reach(MemoryBytes bytes) {
  peak_ = {std::max(peak_.device, bytes.device), std::max(peak_.host, bytes.host)};
  peak_together_ = std::max(peak_together_, bytes.device + bytes.host);
}

void MemoryNeed::keep(std::string name, MemoryBytes bytes) {
  if (nothing(bytes)) return;
  parts_.push_back({std::move(name), bytes, true});
  now_ = {now_.device + bytes.device, now_.host + bytes.host};
  reach(now_);
}

void MemoryNeed::pass(std::string name, MemoryBytes bytes) {
  if (nothing(bytes)) return;
  parts_.push_back({std::move(name), bytes, false});
  reach({now_.device + bytes.device, now_.host + bytes.host});
}

MemoryBytes program_memory() {
  constexpr int64_t kProgram = int64_t{12} << 20;  // measured with a tiny data set, on the CPU
  return {stream_bytes(), kProgram};
}

}  // namespace derrd
