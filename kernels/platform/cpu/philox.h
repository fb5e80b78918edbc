#pragma once

#include <Random123/philox.h>

#include <cstdint>

namespace derrd {

struct Philox4 {
  uint32_t x, y, z, w;
};

inline Philox4 philox_4x32_10(Philox4 counter, uint32_t key_low, uint32_t key_high) {
  const r123::Philox4x32 generator;
  const auto bits =
      generator({{counter.x, counter.y, counter.z, counter.w}}, {{key_low, key_high}});
  return {bits[0], bits[1], bits[2], bits[3]};
}

inline uint64_t multiply_high(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64);
}

}  // namespace derrd
