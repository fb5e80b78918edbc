// Some adjacent columns of a matrix as a matrix of their own: products want their operands without
// gaps between the rows.
//
//   copy:   out[r, c] = in[r, first + c]
//   add:    grad_in[r, first + c] += grad_out[r, c]                        (its backward)
//
// Shapes: in and grad_in [N, W], out and grad_out [N, C], first + C <= W.
// Mapping: a tile a row, its lanes stride over the columns. Bytes: 8 N C and 12 N C, bound by
// memory.

#include "kernels/models/columns.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void copy_columns_kernel(Matrix<float> out, Matrix<const float> in,
                                    int64_t first_column) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, out.rows)) {
    float* __restrict__ to = out.row(r);
    const float* __restrict__ from = in.row(r) + first_column;
    for (int64_t c = tile.thread_rank(); c < out.cols; c += tile.size()) to[c] = from[c];
  }
}

__global__ void add_columns_kernel(Matrix<float> grad_in, Matrix<const float> grad_out,
                                   int64_t first_column, ActiveRows active) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, active.of(grad_out.rows))) {
    float* __restrict__ to = grad_in.row(r) + first_column;
    const float* __restrict__ from = grad_out.row(r);
    for (int64_t c = tile.thread_rank(); c < grad_out.cols; c += tile.size()) to[c] += from[c];
  }
}

}  // namespace

void copy_columns(Matrix<float> out, Matrix<const float> in, int64_t first_column,
                  const Stream& stream) {
  require_shape("copy_columns", "out", out, in.rows, out.cols);
  require_columns("copy_columns", "in", in, first_column, out.cols);
  if (out.size() == 0) return;
  launch("copy_columns", tiles_for(out.rows, out.cols), stream, copy_columns_kernel, out, in,
         first_column);
}

void add_columns(Matrix<float> grad_in, Matrix<const float> grad_out, int64_t first_column,
                 ActiveRows active, const Stream& stream) {
  require_shape("add_columns", "grad_out", grad_out, grad_in.rows, grad_out.cols);
  require_columns("add_columns", "grad_in", grad_in, first_column, grad_out.cols);
  if (grad_out.size() == 0) return;
  launch("add_columns", tiles_for(grad_out.rows, grad_out.cols), stream, add_columns_kernel,
         grad_in, grad_out, first_column, active);
}

}  // namespace derrd
