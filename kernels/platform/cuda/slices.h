#pragma once

#include <cstdint>

namespace derrd {

inline int64_t slice_size(int64_t total, int64_t /*preferred*/) { return total; }

template <class Function>
void run_slices(int64_t count, const Function& f) {
  for (int64_t i = 0; i < count; ++i) f(i);
}

}  // namespace derrd
