#pragma once

// Long work cut into slices, each of which runs its operations one after the other: on a CPU a
// slice is sized so that what its operations hand to one another stays in a core's cache, and the
// slices run in parallel; a GPU wants launches as large as they come, so there one slice is all.

#include <algorithm>
#include <cstdint>

#include "kernels/platform/call_list.h"

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
  /// @param active the numbers that the slices share equally; the last slice takes the rest too
  Slices(int64_t total, int64_t preferred, ActiveRows active = {})
      : total_(total),
        active_(active_part(total, active)),
        count_(total == 0 ? 0 : std::max<int64_t>(1, slice_count(active_, preferred))) {}
  int64_t count() const { return count_; }
  Slice operator[](int64_t i) const {
    const int64_t begin = active_ * i / count_;
    const int64_t end = i + 1 == count_ ? total_ : active_ * (i + 1) / count_;
    return {begin, end - begin};
  }

 private:
  int64_t total_;
  int64_t active_;
  int64_t count_;
};

/// Calls f(i) for every slice i, slices in parallel on the CPU; what f launches stays on its
/// thread. Slices must not depend on one another; results do not depend on the number of threads.
template <class Function>
void for_each_slice(const Slices& slices, const Function& f) {
  run_slices(slices.count(), f);
}

/// Calls f(calls): on a GPU once, with all of them, whose work then fills the launches; on the CPU
/// with one after the other, so that what a call's operations hand on stays in the caches. Memory
/// is needed for calls_at_once(number of calls) of them.
template <class Call, class Function>
void run_calls(const CallList<Call>& calls, const Function& f) {
  if (calls_at_once(calls.count) == calls.count) {
    f(calls);
  } else {
    for (const Call& call : calls) f(CallList<Call>(call));
  }
}

}  // namespace derrd
