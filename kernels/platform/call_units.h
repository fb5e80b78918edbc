#pragma once

// Work units of several calls in one launch: all of the first call's, then all of the second's, ...
// Only .cu files include it.

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/execution.h"

namespace derrd {

/// Calls f(call, unit) for those units of `group` that lie in [0, units(call)), for every call.
template <class Group, class Call, class Units, class Function>
__device__ __forceinline__ void for_each_unit(const Group& group, const CallList<Call>& calls,
                                              Units units, Function f) {
  int64_t total = 0;
  for (const Call& call : calls) total += units(call);
  for (const int64_t number : units_of(group, total)) {
    int64_t unit = number;
    const Call* call = calls.begin();
    for (int64_t own = units(*call); unit >= own; own = units(*call)) {
      unit -= own;
      ++call;
    }
    f(*call, unit);
  }
}

/// Whether `call` is the first of those that add up in the same memory. They are adjacent in the
/// list; the first one's units make the sums of all, in the order of the list.
/// @param target target(call) is the address of the memory
template <class Call, class Target>
__device__ __forceinline__ bool begins_sum(const CallList<Call>& calls, const Call& call,
                                           Target target) {
  return &call == calls.begin() || target(call) != target(*(&call - 1));
}

/// Calls f(other) for `call`, which begins a sum, and for the calls that add to the same memory.
template <class Call, class Target, class Function>
__device__ __forceinline__ void for_each_summand(const CallList<Call>& calls, const Call& call,
                                                 Target target, Function f) {
  for (const Call* other = &call; other != calls.end() && target(*other) == target(call); ++other) {
    f(*other);
  }
}

}  // namespace derrd
