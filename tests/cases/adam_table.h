#pragma once

#include <cstdint>
#include <utility>

#include "kernels/update/adam_rows.h"
#include "tests/cases/support.h"

namespace derrd::cases {

// Array is DeviceArray, or Guarded in a test.

template <template <class> class Array, class T>
Array<T> zeroed(int64_t n) {
  Array<T> array(n);
  fill_zero(array.data(), n * static_cast<int64_t>(sizeof(T)), stream());
  return array;
}

/// Memory of an AdamHistory before the first update.
template <template <class> class Array>
struct AdamUpdates {
  /// @param size of the corrections, a power of two
  explicit AdamUpdates(int64_t size)
      : steps(zeroed<Array, int64_t>(1)), corrections(zeroed<Array, AdamCorrections>(size)) {}
  AdamHistory view() const { return {steps.data(), corrections.view()}; }

  Array<int64_t> steps;
  Array<AdamCorrections> corrections;
};

/// A table [rows, dim] with all that Adam keeps of it, before the first update.
template <template <class> class Array>
struct AdamTable {
  AdamTable(int64_t table_rows, int64_t table_dim, Array<float> values)
      : rows(table_rows),
        dim(table_dim),
        value(std::move(values)),
        first_moment(zeroed<Array, float>(rows * dim)),
        second_moment(zeroed<Array, float>(rows * dim)),
        gradient(zeroed<Array, float>(rows * dim)),
        applied(zeroed<Array, uint32_t>(rows)) {}
  AdamRows view() const {
    const auto matrix = [&](const Array<float>& array) { return array.matrix(rows, dim); };
    return {matrix(value), matrix(first_moment), matrix(second_moment), matrix(gradient),
            applied.view()};
  }

  int64_t rows, dim;
  Array<float> value, first_moment, second_moment, gradient;
  Array<uint32_t> applied;
};

}  // namespace derrd::cases
