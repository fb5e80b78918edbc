#pragma once

// Long work cut into slices, each of which runs its operations one after the other: on a CPU a
// slice is sized so that what its operations hand to one another stays in a core's cache, and the
// slices run in parallel; a GPU wants launches as large as they come, so there one slice is all.

#include <algorithm>
#include <cstdint>

#if defined(DERRD_BACKEND_CUDA)
#include "kernels/platform/cuda/slices.h"
#else
#include "kernels/platform/cpu/slices.h"
#endif

namespace derrd {

/// Numbers begin .. begin + size - 1.
struct Slice {
  int64_t begin = 0;
  int64_t size = 0;
};

/// [0, total) in slices of equal size, `preferred` at most; on CUDA a single one.
class Slices {
 public:
  /// @param live_rows device memory, null: all. The slices are equal in what they hold of the first
  /// *live_rows numbers; the last one takes the rest too.
  Slices(int64_t total, int64_t preferred, const int32_t* live_rows = nullptr)
      : total_(total),
        live_(live_part(total, live_rows)),
        count_(total == 0 ? 0 : std::max<int64_t>(1, slice_count(live_, preferred))) {}
  int64_t count() const { return count_; }
  Slice operator[](int64_t i) const {
    const int64_t begin = live_ * i / count_;
    const int64_t end = i + 1 == count_ ? total_ : live_ * (i + 1) / count_;
    return {begin, end - begin};
  }

 private:
  int64_t total_;
  int64_t live_;
  int64_t count_;
};

/// Calls f(i) for every slice i, slices in parallel on the CPU; what f launches stays on its
/// thread. Slices must not depend on one another; results do not depend on the number of threads.
template <class Function>
void for_each_slice(const Slices& slices, const Function& f) {
  run_slices(slices.count(), f);
}

}  // namespace derrd
