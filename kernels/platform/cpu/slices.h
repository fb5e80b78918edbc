#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/platform/cpu/parallel.h"
#include "kernels/platform/views.h"

namespace derrd {

inline int64_t active_part(int64_t total, ActiveRows active) {
  return cpu::strict_as_gpu() ? total : std::clamp<int64_t>(active.of(total), 0, total);
}

inline int64_t slice_count(int64_t active, int64_t preferred) {
  return cpu::strict_as_gpu() ? 1 : (active + preferred - 1) / preferred;
}

inline int64_t calls_at_once(int64_t calls) { return cpu::strict_as_gpu() ? calls : 1; }

/// A slice is a chunk of its own: it is worth a thread, and what it calls runs inline.
template <class Function>
void run_slices(int64_t count, const Function& f) {
  cpu::parallel_for(count, cpu::kChunkElements, f);
}

}  // namespace derrd
