// A table's columns times a weight each: turns NeuMF's weighted inner product, sum over k of
// w_k u_k i_k, into the plain one of w * u and i, for which there are kernels.
//
//   forward    y = x diag(w)
//   backward   dL/dx += dL/dy diag(w)      dL/dw += column sums of dL/dy * x
//
// Shapes: x, y [rows, D], w [D]. Backward, only the batch's rows.
// Mapping: forward, a tile per row. Backward, a tile per part of the rows and strip of columns,
// whose lanes add to dL/dx and keep the strip's sums for dL/dw in registers; the parts' sums are
// then added in order (linear.h). Bytes: 8 D per row forward; 16 D per row of the batch backward:
// bandwidth. Trap: dL/dw sums over rows that any number of tiles hold; atomics would leave its bits
// to chance.

#include "kernels/models/scale_columns.h"

#include <algorithm>

#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/models/linear.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

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

constexpr int kLaneColumns = 4;  ///< of a strip, where a tile has several lanes
constexpr int kStrip = kTileLanes > 1 ? kLaneColumns* kTileLanes : 64;
DERRD_HOST_DEVICE inline int64_t strips_of(int64_t cols) { return (cols + kStrip - 1) / kStrip; }

__global__ void scale_columns_backward_kernel(Matrix<float> grad_in, Matrix<float> partials,
                                              Matrix<const float> grad_out, ScaleColumnsCall call,
                                              RowSegments rows) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *rows.batch;
  const int64_t parts = partials.rows;
  const int64_t strips = strips_of(partials.cols);
  for (const int64_t unit : units_of(tile, parts * strips)) {
    const int64_t part = unit / strips;
    const int64_t column = unit % strips * kStrip;
    const int64_t left = partials.cols - column;
    const int width = left < kStrip ? static_cast<int>(left) : kStrip;
    const int lane = static_cast<int>(tile.thread_rank());
    const float* __restrict__ w = call.scale.data + column;
    float* __restrict__ sums = partials.row(part) + column;
    float sum[kLaneColumns] = {};
    if constexpr (kTileLanes == 1) fill_row(tile, sums, width, 0.0f);
    const int64_t end = batch.begin + batch.count * (part + 1) / parts;
    for (int64_t i = batch.begin + batch.count * part / parts; i < end; ++i) {
      const int64_t row = rows.rows[i];
      const float* __restrict__ x = call.in.row(row) + column;
      const float* __restrict__ grad_y = grad_out.row(row) + column;
      float* __restrict__ grad_x = grad_in.row(row) + column;
      if constexpr (kTileLanes > 1) {
        for (int j = 0; j < kLaneColumns; ++j) {
          const int k = lane + j * kTileLanes;
          if (k >= width) break;
          const float y = grad_y[k];
          grad_x[k] += y * w[k];
          sum[j] += y * x[k];
        }
      } else {
        for (int k = 0; k < width; ++k) grad_x[k] += grad_y[k] * w[k];
        for (int k = 0; k < width; ++k) sums[k] += grad_y[k] * x[k];
      }
    }
    if constexpr (kTileLanes > 1) {
      for (int j = 0; j < kLaneColumns; ++j) {
        if (const int k = lane + j * kTileLanes; k < width) sums[k] = sum[j];
      }
    }
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

int64_t scale_columns_parts(int64_t rows) {
  constexpr int64_t kRows = 32, kMost = 4096;
  return kTileLanes > 1 ? std::clamp<int64_t>((rows + kRows - 1) / kRows, 1, kMost) : 1;
}

void scale_columns_backward(const ScaleColumnsGradients& gradients, Matrix<const float> grad_out,
                            const ScaleColumnsCall& call, RowSegments batch, const Stream& stream) {
  constexpr const char* kName = "scale_columns_backward";
  const auto& [in, scale] = call;
  const auto& [grad_in, grad_scale, partials] = gradients;
  require_shape(kName, "grad_in", grad_in, in.rows, in.cols);
  require_shape(kName, "grad_out", grad_out, in.rows, in.cols);
  require_size(kName, "scale", scale, in.cols);
  require_size(kName, "grad_scale", grad_scale, in.cols);
  require_shape(kName, "partials", partials, scale_columns_parts(batch.capacity), in.cols);
  if (batch.capacity == 0 || in.cols == 0) return;
  launch(kName,
         tiles_for(partials.rows * strips_of(in.cols), batch.capacity / partials.rows * kStrip),
         stream, scale_columns_backward_kernel, grad_in, partials, grad_out, call, batch);
  accumulate_bias(BiasGradient{grad_scale, partials}, stream);
}

}  // namespace derrd
