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

/// [0, total) in slices of `preferred`, the last one shorter; on CUDA a single one.
class Slices {
 public:
  Slices(int64_t total, int64_t preferred) : total_(total), size_(slice_size(total, preferred)) {}
  int64_t count() const { return total_ == 0 ? 0 : (total_ + size_ - 1) / size_; }
  Slice operator[](int64_t i) const {
    const int64_t begin = i * size_;
    return {begin, std::min(size_, total_ - begin)};
  }

 private:
  int64_t total_;
  int64_t size_;
};

/// Calls f(i) for every slice i, slices in parallel on the CPU; what f launches stays on its
/// thread. Slices must not depend on one another; results do not depend on the number of threads.
template <class Function>
void for_each_slice(const Slices& slices, const Function& f) {
  run_slices(slices.count(), f);
}

}  // namespace derrd
