#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/platform/memory.h"
#include "kernels/platform/sort.h"

namespace derrd {

/// Memory for sorts of up to `pairs` pairs, one after the other.
class SortSpace {
 public:
  /// @param pairs largest number of pairs for sort_pairs, and of elements in an exclusive sum
  /// @param segment_pairs largest number of pairs for sort_segments
  explicit SortSpace(int64_t pairs, int64_t segment_pairs = 0)
      : unsorted_keys_(std::max(pairs, segment_pairs)),
        sorted_keys_(pairs),
        unsorted_values_(unsorted_keys_.size()),
        sorted_values_(pairs),
        scratch_(scratch_bytes(pairs, segment_pairs)) {}

  /// Returns the bytes of device memory that a space takes; the parameters are the constructor's.
  static int64_t device_bytes(int64_t pairs, int64_t segment_pairs = 0) {
    constexpr int64_t kPair = sizeof(uint64_t) + sizeof(uint32_t);
    return kPair * (std::max(pairs, segment_pairs) + pairs) + scratch_bytes(pairs, segment_pairs);
  }

  int64_t bytes() const {
    return unsorted_keys_.bytes() + sorted_keys_.bytes() + unsorted_values_.bytes() +
           sorted_values_.bytes() + scratch_.bytes();
  }
  /// The first n pairs, before a sort and after it; sort_segments leaves them in `unsorted`.
  SortBuffers unsorted(int64_t n) const {
    return {unsorted_keys_.view().slice(0, n), unsorted_values_.view().slice(0, n)};
  }
  SortBuffers sorted(int64_t n) const {
    return {sorted_keys_.view().slice(0, n), sorted_values_.view().slice(0, n)};
  }
  Vector<uint8_t> scratch() const { return scratch_.view(); }

 private:
  static int64_t scratch_bytes(int64_t pairs, int64_t segment_pairs) {
    return std::max({segment_pairs == 0 ? 0 : sort_segments_scratch_bytes(segment_pairs),
                     sort_pairs_scratch_bytes(pairs), exclusive_sum_scratch_bytes(pairs)});
  }

  DeviceArray<uint64_t> unsorted_keys_, sorted_keys_;
  DeviceArray<uint32_t> unsorted_values_, sorted_values_;
  DeviceArray<uint8_t> scratch_;
};

/// Views row numbers, or -1, as the values that a sort moves.
inline Vector<uint32_t> sort_values(Vector<int32_t> rows) {
  // The language lets an int32 be accessed as a uint32; the bits are those of the row.
  return {reinterpret_cast<uint32_t*>(rows.data), rows.size};
}

}  // namespace derrd
