#pragma once

#include <cstddef>
#include <cstring>

namespace derrd {

/// The value whose bytes begin at `at`, which needs no alignment.
template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

}  // namespace derrd
