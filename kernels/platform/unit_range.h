#pragma once

// Work units of the executors that deal them out with a stride, cuda and check; SingleThread serves
// the cpu executor too.

#include <cstdint>

#include "kernels/platform/qualifiers.h"

namespace derrd {

/// Group of a thread that works alone, for units_of.
struct SingleThread {};

/// Numbers first, first + stride, ... below last.
class StridedRange {
 public:
  struct Iterator {
    int64_t value;
    int64_t stride;
    DERRD_HOST_DEVICE int64_t operator*() const { return value; }
    DERRD_HOST_DEVICE Iterator& operator++() {
      value += stride;
      return *this;
    }
    DERRD_HOST_DEVICE bool operator!=(const Iterator& end) const { return value < end.value; }
  };
  DERRD_HOST_DEVICE StridedRange(int64_t first, int64_t stride, int64_t last)
      : first_(first), stride_(stride), last_(last) {}
  DERRD_HOST_DEVICE Iterator begin() const { return {first_, stride_}; }
  DERRD_HOST_DEVICE Iterator end() const { return {last_, stride_}; }

 private:
  int64_t first_;
  int64_t stride_;
  int64_t last_;
};

}  // namespace derrd
