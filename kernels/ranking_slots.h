#pragma once

#include <bit>
#include <cstdint>

#include "kernels/platform/qualifiers.h"

namespace derrd {

/// How a (user, slot) pair of the samples matrix is packed into the 32-bit value of a sort:
/// user << bits | slot, so that unpacking needs no division.
struct SlotCode {
  int bits;

  DERRD_HOST_DEVICE uint32_t pack(int64_t user, int64_t slot) const {
    return static_cast<uint32_t>(user << bits | slot);
  }
  DERRD_HOST_DEVICE int64_t user(uint32_t code) const { return code >> bits; }
  DERRD_HOST_DEVICE int64_t slot(uint32_t code) const { return code & ((1u << bits) - 1); }
};

/// The code for `slots` slots a user.
inline SlotCode slot_code(int64_t slots) {
  return {slots > 1 ? static_cast<int>(std::bit_width(static_cast<uint64_t>(slots - 1))) : 0};
}
/// True if every pair of `users` users fits into 32 bits.
inline bool slot_code_fits(int64_t users, int64_t slots) {
  return users <= (int64_t{1} << (32 - slot_code(slots).bits));
}

}  // namespace derrd
