#pragma once

#include <bit>
#include <cstdint>

#include "kernels/platform/qualifiers.h"

namespace derrd {

/// Code that packs a pair (anchor, slot) of a matrix of samples into the 32-bit value of a sort:
/// anchor << bits | slot, so that unpacking needs no division.
struct SlotCode {
  int bits;

  DERRD_HOST_DEVICE uint32_t pack(int64_t anchor, int64_t slot) const {
    return static_cast<uint32_t>(anchor << bits | slot);
  }
  DERRD_HOST_DEVICE int64_t anchor(uint32_t code) const { return code >> bits; }
  DERRD_HOST_DEVICE int64_t slot(uint32_t code) const { return code & ((1u << bits) - 1); }
};

/// Code for `slots` slots per anchor.
inline SlotCode slot_code(int64_t slots) {
  return {slots > 1 ? static_cast<int>(std::bit_width(static_cast<uint64_t>(slots - 1))) : 0};
}
/// True if every pair of `anchors` anchors fits into 32 bits.
inline bool slot_code_fits(int64_t anchors, int64_t slots) {
  return anchors <= (int64_t{1} << (32 - slot_code(slots).bits));
}

}  // namespace derrd
