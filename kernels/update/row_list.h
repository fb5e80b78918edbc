#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Number of rows or slots in a list, at most: all rows of the table if it is no batch's.
inline int64_t row_list_units(const RowSegments& rows, const Matrix<const int32_t>& samples,
                              int64_t table_rows) {
  if (rows.batch == nullptr) return table_rows;
  return samples.data == nullptr ? rows.capacity : rows.capacity * samples.cols;
}

/// Finds the row of a table that unit `i` of a list stands for: all rows, where `rows` has no
/// batch; the batch's distinct rows; or, with samples, the rows that their slots hold. -1: none.
__device__ __forceinline__ int64_t row_of_unit(const RowSegments& rows,
                                               const Matrix<const int32_t>& samples, int64_t i) {
  if (rows.batch == nullptr) return i;
  const BatchCursor batch = *rows.batch;
  const int64_t slots = samples.data == nullptr ? 1 : samples.cols;
  const int64_t n = i / slots;
  if (n >= batch.count) return -1;
  const int64_t row = rows.rows[batch.begin + n];
  return samples.data == nullptr ? row : samples.row(row)[i - n * slots];
}

}  // namespace derrd
