#pragma once

#include <cstdint>

#include "kernels/platform/cpu/parallel.h"

namespace derrd {

inline int64_t slice_size(int64_t /*total*/, int64_t preferred) { return preferred; }

/// A slice is a chunk of its own: it is worth a thread, and what it calls runs inline.
template <class Function>
void run_slices(int64_t count, const Function& f) {
  cpu::parallel_for(count, cpu::kChunkElements, f);
}

}  // namespace derrd
