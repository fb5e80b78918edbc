// Picks embedding rows for a batch, and reduces gradients back into the table without atomics.
//
//   gather:      out[i]      = table[row_i]
//   add:         grad[row_i] += grad_out[i]                                (its backward)
//   accumulate:  grad[row_i] += scale * sum over the samples s of row_i of c_s source[source_row_s]
//
// Shapes: table and grad [rows, D], out [capacity, D], c [B]; row_i are the batch's distinct rows.
//
// Mapping: a tile owns a distinct row, its lanes stride over the D columns; of accumulate,
// a part of a row (row_terms.h), a lane's sum in a register. Because nobody else writes that row,
// no atomics are needed, and because the samples come in ascending order the sum is the same on
// every run. The tiles of a block share a popular row's samples.
//
// Bytes: gather 8 D per row, add 12 D per row, accumulate 4 D per sample + 8 D per row (a row's
// sum stays in the cache from sample to sample) and 12 per sample for the indices. Nothing is
// computed to speak of: the limit is memory bandwidth, or, for tables that fit, the cache's.
//
// One launch gathers from, or adds to, the tables of several calls. A row that occurs in two calls
// on one table belongs to the first of them, which looks it up in the other's ascending rows.
//
// Trap: float atomics would be shorter, but they make the sum depend on the schedule and collide on
// popular items. The occurrences are sorted once an epoch instead (segments.cu).

#include "kernels/models/embedding.h"

#include "kernels/common/row_terms.h"
#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void gather_rows_kernel(const __grid_constant__ CallList<RowGathering> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const RowGathering& call) { return call.out.rows; };
  for_each_unit(tile, calls, units, [&](const RowGathering& call, int64_t i) {
    const Matrix<const float> table = call.table;
    const BatchCursor batch = *call.rows.batch;
    float* to = call.out.row(i) + call.first_column;
    if (i < batch.count) {
      copy_row(tile, to, table.row(call.rows.rows[batch.begin + i]), table.cols);
    } else {
      fill_row(tile, to, table.cols, 0.0f);
    }
  });
}

/// Index of `row` among the batch's rows, which ascend; -1 if it is none of them.
__device__ __forceinline__ int64_t find_row(const RowSegments& rows, int32_t row) {
  const BatchCursor batch = *rows.batch;
  int64_t begin = 0, end = batch.count;
  while (begin < end) {
    const int64_t middle = (begin + end) / 2;
    if (rows.rows[batch.begin + middle] < row) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin < batch.count && rows.rows[batch.begin + begin] == row ? begin : -1;
}

__global__ void add_rows_kernel(const __grid_constant__ CallList<RowAddition> calls) {
  const WarpTile tile = warp_tile();
  const auto units = [](const RowAddition& call) -> int64_t { return call.rows.batch->count; };
  for_each_unit(tile, calls, units, [&](const RowAddition& call, int64_t i) {
    const int32_t row = call.rows.rows[call.rows.batch->begin + i];
    float* __restrict__ grad = call.grad_table.row(row);
    // The first call that adds to a row adds those of the others.
    for (const RowAddition& other : calls) {
      if (other.grad_table.data != call.grad_table.data) continue;
      const int64_t position = &other == &call ? i : find_row(other.rows, row);
      if (position < 0) continue;
      if (&other < &call) return;
      const float* __restrict__ from = other.grad_rows.row(position) + other.first_column;
      for (int64_t k = tile.thread_rank(); k < call.grad_table.cols; k += tile.size()) {
        grad[k] += from[k];
      }
    }
  });
}

template <class Element, bool kShare>
__global__ void accumulate_rows_kernel(Matrix<float> grad_table, SampleTerms terms,
                                       RowSegments rows) {
  __shared__ SharedSums<Element> shared;
  const cg::thread_block block = cg::this_thread_block();
  const int64_t first_sample = terms.batch->begin;
  const auto term_of = [&](int o) -> RowTerm {
    const int64_t sample = rows.occurrences[o];
    return {terms.scale * terms.coefficient[sample - first_sample], terms.source_rows[sample], 0};
  };
  const int parts = row_parts<Element>(grad_table.cols);
  const int64_t units = term_blocks<Element, kShare>(rows.batch->count, parts);
  for (const int64_t unit : units_of(block, units)) {
    add_terms<Element, false, kShare>(block, shared, grad_table, rows, static_cast<int>(unit),
                                      parts, terms.source, term_of);
  }
}

}  // namespace

void gather_rows(const CallList<RowGathering>& calls, const Stream& stream) {
  int64_t rows = 0;
  for (const auto& [out, first_column, table, batch_rows] : calls) {
    require_shape("gather_rows", "out", out, batch_rows.capacity, out.cols);
    require_columns("gather_rows", "out", out, first_column, table.cols);
    rows += out.rows;
  }
  if (rows == 0) return;
  launch("gather_rows", tiles_for(rows, calls[0].table.cols), stream, gather_rows_kernel, calls);
}

void gather_rows(Matrix<float> out, int64_t first_column, Matrix<const float> table,
                 RowSegments rows, const Stream& stream) {
  gather_rows(RowGathering{out, first_column, table, rows}, stream);
}

void add_rows(const CallList<RowAddition>& calls, const Stream& stream) {
  int64_t rows = 0;
  for (const auto& [grad_table, grad_rows, first_column, batch_rows] : calls) {
    require_shape("add_rows", "grad_rows", grad_rows, batch_rows.capacity, grad_rows.cols);
    require_columns("add_rows", "grad_rows", grad_rows, first_column, grad_table.cols);
    rows += grad_rows.rows;
  }
  if (rows == 0) return;
  launch("add_rows", tiles_for(rows, calls[0].grad_table.cols), stream, add_rows_kernel, calls);
}

void add_rows(Matrix<float> grad_table, Matrix<const float> grad_rows, int64_t first_column,
              RowSegments rows, const Stream& stream) {
  add_rows(RowAddition{grad_table, grad_rows, first_column, rows}, stream);
}

void accumulate_rows(Matrix<float> grad_table, const SampleTerms& terms, RowSegments rows,
                     const Stream& stream) {
  require_shape("accumulate_rows", "source", terms.source, terms.source.rows, grad_table.cols);
  require_size("accumulate_rows", "occurrences", rows.occurrences, terms.source_rows.size);
  if (rows.capacity == 0 || grad_table.cols == 0) return;
  const bool quads = sums_are_quads(grad_table.cols, {grad_table.data, terms.source.data});
  const auto kernel =
      shares_rows(terms.coefficient.size)
          ? (quads ? accumulate_rows_kernel<Quad, true> : accumulate_rows_kernel<float, true>)
          : (quads ? accumulate_rows_kernel<Quad, false> : accumulate_rows_kernel<float, false>);
  const int64_t blocks = blocks_of_terms("accumulate_rows", rows.capacity, grad_table.cols, quads);
  launch("accumulate_rows", blocks_for(blocks, kBlockTiles * grad_table.cols), stream, kernel,
         grad_table, terms, rows);
}

}  // namespace derrd
