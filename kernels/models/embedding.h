#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// Rows of an embedding table [table rows, D], picked by the distinct rows of the current batch:
// row i of the batch is rows.rows[batch->begin + i], i < batch->count.

// A table narrower than the vectors fills their columns from first_column on.

/// Gathers rows: out[i, first_column ...] = table[row i of the batch]; zero for batch->count <= i <
/// capacity.
/// @param out [capacity, >= first_column + D], D columns overwritten
/// @param table [table rows, D]
/// @throws std::invalid_argument if the shapes do not fit.
void gather_rows(Matrix<float> out, int64_t first_column, Matrix<const float> table,
                 RowSegments rows, const Stream& stream);

/// Adds the gradient of gather_rows: grad_table[row i of the batch] += grad_rows[i, first_column
/// ...], i < batch->count.
/// @param grad_table [table rows, D], accumulated
/// @param grad_rows [capacity, >= first_column + D]
/// @throws std::invalid_argument if the shapes do not fit.
void add_rows(Matrix<float> grad_table, Matrix<const float> grad_rows, int64_t first_column,
              RowSegments rows, const Stream& stream);

/// Arguments of gather_rows. A view.
struct RowGathering {
  Matrix<float> out;
  int64_t first_column;
  Matrix<const float> table;
  RowSegments rows;
};
/// Gathers rows of several tables in one launch.
void gather_rows(const CallList<RowGathering>& calls, const Stream& stream);

/// Arguments of add_rows. A view.
struct RowAddition {
  Matrix<float> grad_table;
  Matrix<const float> grad_rows;
  int64_t first_column;
  RowSegments rows;
};
/// Adds to several tables in one launch. Where calls add to one row of a table, they do so in the
/// order of the list.
void add_rows(const CallList<RowAddition>& calls, const Stream& stream);

/// Term that each sample s of a batch adds to the gradient of a row:
/// scale * coefficient[s - batch->begin] * source[source_rows[s]]. A view.
struct SampleTerms {
  Matrix<const float> source;          ///< [source rows, D]
  Vector<const int32_t> source_rows;   ///< [n] by the epoch's sample number
  Vector<const float> coefficient;     ///< [>= batch->count] by the sample's number in the batch
  const BatchCursor* batch = nullptr;  ///< device memory: the batch within the epoch's samples
  float scale = 1.0f;
};

/// Adds the gradient of a row picked per sample: for every row of the batch,
/// grad_table[row] += the terms of its samples, ascending, or on a GPU, where they are many, the
/// sums of ranges of them. The order is fixed, so the same input gives the same bits.
/// @param grad_table [table rows, D], accumulated; does not overlap terms.source
/// @throws std::invalid_argument if the shapes do not fit, or the batch's rows are too many for
/// 32-bit numbers.
void accumulate_rows(Matrix<float> grad_table, const SampleTerms& terms, RowSegments rows,
                     const Stream& stream);

}  // namespace derrd
