#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/platform/memory.h"
#include "kernels/platform/sort.h"

namespace derrd {

/// Memory for sorts of up to `pairs` pairs, one after the other.
class SortSpace {
 public:
  /// @param pairs largest number of pairs in a sort, and of elements in an exclusive sum
  /// @param segments largest number of segments in a segmented sort; an exclusive sum may have one
  ///   element more
  explicit SortSpace(int64_t pairs, int64_t segments = 0)
      : unsorted_keys_(pairs),
        sorted_keys_(pairs),
        unsorted_values_(pairs),
        sorted_values_(pairs),
        scratch_(std::max({segments == 0 ? 0 : segmented_sort_scratch_bytes(pairs, segments),
                           sort_pairs_scratch_bytes(pairs),
                           exclusive_sum_scratch_bytes(std::max(pairs, segments + 1))})) {}

  int64_t bytes() const {
    return unsorted_keys_.bytes() + sorted_keys_.bytes() + unsorted_values_.bytes() +
           sorted_values_.bytes() + scratch_.bytes();
  }
  /// The first n pairs, before a sort and after it.
  SortBuffers unsorted(int64_t n) const {
    return {unsorted_keys_.view().slice(0, n), unsorted_values_.view().slice(0, n)};
  }
  SortBuffers sorted(int64_t n) const {
    return {sorted_keys_.view().slice(0, n), sorted_values_.view().slice(0, n)};
  }
  Vector<uint8_t> scratch() const { return scratch_.view(); }

 private:
  DeviceArray<uint64_t> unsorted_keys_, sorted_keys_;
  DeviceArray<uint32_t> unsorted_values_, sorted_values_;
  DeviceArray<uint8_t> scratch_;
};

/// Views row numbers, or -1, as the values that a sort moves.
inline Vector<uint32_t> sort_values(Vector<int32_t> rows) {
  // The language lets an int32 be accessed as a uint32; the bits are those of the row.
  return {reinterpret_cast<uint32_t*>(rows.data), rows.size};
}

/// Makes the offsets 0, length, 2 length, ... of `segments` segments: [segments + 1].
DeviceArray<int64_t> even_offsets(int64_t segments, int64_t length, const Stream& stream);

}  // namespace derrd
