#pragma once

#include <malloc.h>

namespace derrd {

/// Has large blocks go back to the system as soon as they are freed. By default glibc keeps more of
/// them the more are freed, so that a program may hold twice the memory that it uses.
inline void return_large_blocks() {
#ifdef M_MMAP_THRESHOLD
  constexpr int kLarge = 1 << 20;  // bytes
  mallopt(M_MMAP_THRESHOLD, kLarge);
#endif
}

}  // namespace derrd
