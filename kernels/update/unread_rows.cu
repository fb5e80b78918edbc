// Finds reads of rows that nobody declared: for the checking executor.
//
// A step reads rows of embedding tables that it has declared, and may find any others out of date.
// What reads one of those is wrong by little, and seldom; so tests overwrite them with a value that
// no result survives.
//
// Shapes: the marks [R], the table [R, D]. Mapping: a thread a row of the list, which may name a
// row several times; a thread an element of the table. No part of training at work: nobody waits
// for it.

#include "kernels/update/unread_rows.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/update/row_list.h"

namespace derrd {

namespace {

__global__ void mark_rows_kernel(Vector<uint32_t> read, RowSegments rows,
                                 Matrix<const int32_t> samples, int64_t units) {
  for (const int64_t unit : units_of(SingleThread{}, units)) {
    const int64_t row = row_of_unit(rows, samples, unit);
    if (row >= 0) atomic_exchange(read[row], 1u);
  }
}

__global__ void spoil_unread_rows_kernel(Matrix<float> value, Vector<const uint32_t> read) {
  for (const int64_t element : units_of(SingleThread{}, value.size())) {
    if (read[element / value.cols] == 0) value.data[element] = kSpoiledValue;
  }
}

}  // namespace

void mark_rows(Vector<uint32_t> read, RowSegments rows, Matrix<const int32_t> samples,
               const Stream& stream) {
  const int64_t units = row_list_units(rows, samples, read.size);
  if (units == 0) return;
  launch("mark_rows", threads_for(units), stream, mark_rows_kernel, read, rows, samples, units);
}

void spoil_unread_rows(Matrix<float> value, Vector<const uint32_t> read, const Stream& stream) {
  require_size("spoil_unread_rows", "read", read, value.rows);
  if (value.size() == 0) return;
  launch("spoil_unread_rows", threads_for(value.size()), stream, spoil_unread_rows_kernel, value,
         read);
}

}  // namespace derrd
