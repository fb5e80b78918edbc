#pragma once

// Floats as sort keys.

#include <cstdint>

#include "kernels/common/elementary.h"
#include "kernels/platform/execution.h"

namespace derrd {

/// An unsigned integer that rises with the float: the bits of a positive float rise with it, those
/// of a negative one, all inverted, too.
__device__ __forceinline__ uint32_t ordered_bits(float value) {
  const auto bits = static_cast<uint32_t>(bits_of_float(value));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

}  // namespace derrd
