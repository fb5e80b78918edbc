#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "kernels/platform/qualifiers.h"

namespace derrd {

/// Calls of one operation that share its launches, as DE's for users, positive and negative items
/// do. Converts from a single call. A view, passed to kernels by value.
template <class Call>
struct CallList {
  /// A kernel's parameters are 4 kB at most.
  static constexpr int32_t kCapacity =
      std::clamp<int32_t>(3600 / static_cast<int32_t>(sizeof(Call)), 3, 12);

  CallList() = default;
  CallList(const Call& call) { add(call); }
  /// @throws std::length_error if there are kCapacity calls.
  void add(const Call& call) {
    if (count == kCapacity) throw std::length_error("CallList: too many calls");
    calls[count++] = call;
  }
  /// The calls that follow from `make(call)`, in the same order.
  template <class Make>
  auto map(Make make) const {
    CallList<decltype(make(calls[0]))> made;
    for (const Call& call : *this) made.add(make(call));
    return made;
  }
  /// The calls for which `keep(call)`.
  template <class Keep>
  CallList filter(Keep keep) const {
    CallList kept;
    for (const Call& call : *this) {
      if (keep(call)) kept.add(call);
    }
    return kept;
  }

  DERRD_HOST_DEVICE const Call& operator[](int64_t i) const { return calls[i]; }
  Call* begin() { return calls; }
  Call* end() { return calls + count; }
  DERRD_HOST_DEVICE const Call* begin() const { return calls; }
  DERRD_HOST_DEVICE const Call* end() const { return calls + count; }

  Call calls[kCapacity] = {};
  int32_t count = 0;
};

/// Sum of units(call).
template <class Call, class Units>
int64_t total_units(const CallList<Call>& calls, Units units) {
  int64_t total = 0;
  for (const Call& call : calls) total += units(call);
  return total;
}

}  // namespace derrd
