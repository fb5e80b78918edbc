#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/platform/sort.h"
#include "tests/stream.h"

namespace derrd::cases {

/// Pairs before a sort and after it, and its scratch memory. Array: DeviceArray, or Guarded.
template <template <class> class Array>
struct SortArrays {
  explicit SortArrays(int64_t pairs)
      : keys(pairs),
        sorted_keys(pairs),
        values(pairs),
        sorted_values(pairs),
        scratch(std::max(sort_pairs_scratch_bytes(pairs), sort_segments_scratch_bytes(pairs))) {}

  SortBuffers unsorted() const { return {keys.view(), values.view()}; }
  SortBuffers sorted() const { return {sorted_keys.view(), sorted_values.view()}; }
  /// Sorts by keys below 2^bits.
  void sort(int bits) const {
    sort_pairs(sorted(), unsorted(), bits, scratch.view(), test::stream());
  }
  /// Sorts each segment, in place.
  void sort_segments(int value_bits = kSegmentValueBits) const {
    derrd::sort_segments(unsorted(), value_bits, scratch.view(), test::stream());
  }

  Array<uint64_t> keys, sorted_keys;
  Array<uint32_t> values, sorted_values;
  Array<uint8_t> scratch;
};

}  // namespace derrd::cases
