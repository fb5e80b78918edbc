// A table's columns times a weight each: turns NeuMF's weighted inner product, sum over k of
// w_k u_k i_k, into the plain one of w * u and i, for which there are kernels.
//
//   forward    y = x diag(w)
//   backward   dL/dx += dL/dy diag(w)      dL/dw += column sums of dL/dy * x
//
// Shapes: x, y [rows, D], w [D]. Backward, only the batch's rows.
// Threads: a tile per row; a block per strip of columns for dL/dw (column_sums.h), whose tiles
// interleave the rows and add their partial sums in order. Bytes: 8 D per row forward; 20 D per row
// of the batch backward: bandwidth. Trap: dL/dw sums over rows that any number of tiles hold;
// atomics would leave its bits to chance.

#include "kernels/models/scale_columns.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void scale_columns_forward_kernel(Matrix<float> out, Matrix<const float> in,
                                             Vector<const float> scale) {
  const WarpTile tile = warp_tile();
  const float* __restrict__ w = scale.data;
  for (const int64_t r : units_of(tile, out.rows)) {
    float* __restrict__ y = out.row(r);
    const float* __restrict__ x = in.row(r);
    for (int64_t k = tile.thread_rank(); k < out.cols; k += tile.size()) y[k] = x[k] * w[k];
  }
}

__global__ void scale_columns_backward_rows_kernel(Matrix<float> grad_in,
                                                   Matrix<const float> grad_out,
                                                   Vector<const float> scale, RowSegments rows) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *rows.batch;
  const float* __restrict__ w = scale.data;
  for (const int64_t i : units_of(tile, batch.count)) {
    const int64_t row = rows.rows[batch.begin + i];
    float* __restrict__ grad_x = grad_in.row(row);
    const float* __restrict__ grad_y = grad_out.row(row);
    for (int64_t k = tile.thread_rank(); k < grad_in.cols; k += tile.size()) {
      grad_x[k] += grad_y[k] * w[k];
    }
  }
}

__global__ void scale_columns_backward_scale_kernel(Vector<float> grad_scale,
                                                    Matrix<const float> grad_out,
                                                    Matrix<const float> in, RowSegments rows) {
  __shared__ ColumnPartials partials;
  const BatchCursor batch = *rows.batch;
  const int64_t end = int64_t{batch.begin} + batch.count;
  const auto block = cg::this_thread_block();
  for (const int64_t strip : units_of(block, column_strips(grad_out.cols))) {
    accumulate_columns(block, partials, grad_scale, {batch.begin, end}, strip, [&](int64_t i) {
      const float* __restrict__ grad_y = grad_out.row(rows.rows[i]);
      const float* __restrict__ x = in.row(rows.rows[i]);
      return [=](int64_t c) { return grad_y[c] * x[c]; };
    });
  }
}

}  // namespace

void scale_columns_forward(Matrix<float> out, const ScaleColumnsCall& call, const Stream& stream) {
  constexpr const char* kName = "scale_columns_forward";
  require_shape(kName, "out", out, call.in.rows, call.in.cols);
  require_size(kName, "scale", call.scale, call.in.cols);
  if (out.size() == 0) return;
  launch(kName, tiles_for(out.rows, out.cols), stream, scale_columns_forward_kernel, out, call.in,
         call.scale);
}

void scale_columns_backward(Matrix<float> grad_in, Vector<float> grad_scale,
                            Matrix<const float> grad_out, const ScaleColumnsCall& call,
                            RowSegments batch, const Stream& stream) {
  constexpr const char* kName = "scale_columns_backward";
  const auto& [in, scale] = call;
  require_shape(kName, "grad_in", grad_in, in.rows, in.cols);
  require_shape(kName, "grad_out", grad_out, in.rows, in.cols);
  require_size(kName, "scale", scale, in.cols);
  require_size(kName, "grad_scale", grad_scale, in.cols);
  if (batch.capacity == 0 || in.cols == 0) return;
  launch(kName, tiles_for(batch.capacity, in.cols), stream, scale_columns_backward_rows_kernel,
         grad_in, grad_out, scale, batch);
  launch("scale_columns_backward_scale",
         blocks_for(column_strips(in.cols), batch.capacity * kStripColumns), stream,
         scale_columns_backward_scale_kernel, grad_scale, grad_out, in, batch);
}

}  // namespace derrd
