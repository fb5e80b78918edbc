#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/platform/sort.h"
#include "tests/stream.h"

namespace derrd::cases {

/// Offsets 0, length, 2 length, ... of `rows` rows.
inline std::vector<int64_t> even_offsets(int64_t rows, int64_t length) {
  std::vector<int64_t> offsets;
  for (int64_t row = 0; row <= rows; ++row) offsets.push_back(row * length);
  return offsets;
}

/// Pairs before a sort and after it, and its scratch memory. Array: DeviceArray, or Guarded.
template <template <class> class Array>
struct SortArrays {
  explicit SortArrays(int64_t pairs, int64_t segments = 0)
      : keys(pairs),
        sorted_keys(pairs),
        values(pairs),
        sorted_values(pairs),
        scratch(segments == 0 ? sort_pairs_scratch_bytes(pairs)
                              : segmented_sort_scratch_bytes(pairs, segments)) {}

  SortBuffers unsorted() const { return {keys.view(), values.view()}; }
  SortBuffers sorted() const { return {sorted_keys.view(), sorted_values.view()}; }
  /// Sorts by keys below 2^bits.
  void sort(int bits) const {
    sort_pairs(sorted(), unsorted(), bits, scratch.view(), test::stream());
  }
  /// Sorts each segment.
  void sort_segments(Vector<const int64_t> offsets) const {
    segmented_sort_pairs(sorted(), unsorted(), offsets, scratch.view(), test::stream());
  }

  Array<uint64_t> keys, sorted_keys;
  Array<uint32_t> values, sorted_values;
  Array<uint8_t> scratch;
};

}  // namespace derrd::cases
