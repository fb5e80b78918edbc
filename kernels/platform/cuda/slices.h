#pragma once

#include <cstdint>

namespace derrd {

inline int64_t live_part(int64_t total, const int32_t* /*live_rows*/) { return total; }

inline int64_t slice_count(int64_t /*live*/, int64_t /*preferred*/) { return 1; }

template <class Function>
void run_slices(int64_t count, const Function& f) {
  for (int64_t i = 0; i < count; ++i) f(i);
}

}  // namespace derrd
