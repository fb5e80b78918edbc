#pragma once

#include <cstdint>

#include "kernels/platform/views.h"

namespace derrd {

inline int64_t active_part(int64_t total, ActiveRows /*active*/) { return total; }

inline int64_t slice_count(int64_t /*active*/, int64_t /*preferred*/) { return 1; }

inline int64_t calls_at_once(int64_t calls) { return calls; }

template <class Function>
void run_slices(int64_t count, const Function& f) {
  for (int64_t i = 0; i < count; ++i) f(i);
}

}  // namespace derrd
