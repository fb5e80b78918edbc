// Linear layer with optional ReLU, the building block of gates and multilayer perceptrons.
//
//   forward    Y = f(X W^T + b)
//   backward   Z = dL/dY where f let it through (Y > 0 for ReLU), else 0
//              dL/dX = Z W        dL/dW += Z^T X        dL/db += column sums of Z
//
// Shapes: X [N, k], W [n, k], b [n], Y [N, n], of which `live_rows` rows count.
// The products are the BLAS library's (kernels/platform/gemm.h); here are the bias, the activation
// and the column sums. Threads: a tile owns a row (bias, mask); a block owns a strip of columns
// (sums; column_sums.h), its tiles interleave the rows and their partial sums are added in order:
// no atomics. Bytes, besides the products': 8 N n forward, 12 N n for the mask (ReLU), 4 N n for
// the sums; all bound by memory.
//
// Trap: a product may leave anything, NaN included, in rows beyond the live ones, and the products
// of the backward pass may sum over them. So every pass here sets them to 0.

#include "kernels/models/linear.h"

#include <stdexcept>
#include <string>

#include "kernels/common/column_sums.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

__device__ __forceinline__ int64_t live_count(const int32_t* live_rows, int64_t rows) {
  return live_rows == nullptr ? rows : *live_rows;
}

__global__ void linear_forward_kernel(Matrix<float> out, Vector<const float> bias,
                                      Activation activation, const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t live = live_count(live_rows, out.rows);
  for (const int64_t n : units_of(tile, out.rows)) {
    float* __restrict__ y = out.row(n);
    const float* __restrict__ b = bias.data;
    if (n >= live) {
      for (int64_t c = tile.thread_rank(); c < out.cols; c += tile.size()) y[c] = 0;
    } else if (activation == Activation::kRelu) {
      for (int64_t c = tile.thread_rank(); c < out.cols; c += tile.size()) {
        const float z = y[c] + b[c];
        y[c] = z < 0 ? 0 : z;  // keeps NaN
      }
    } else {
      for (int64_t c = tile.thread_rank(); c < out.cols; c += tile.size()) y[c] += b[c];
    }
  }
}

__global__ void linear_backward_mask_kernel(Matrix<float> grad_out, Matrix<const float> out,
                                            Activation activation, const int32_t* live_rows) {
  const WarpTile tile = warp_tile();
  const int64_t live = live_count(live_rows, grad_out.rows);
  for (const int64_t n : units_of(tile, grad_out.rows)) {
    float* __restrict__ z = grad_out.row(n);
    if (n >= live) {
      for (int64_t c = tile.thread_rank(); c < grad_out.cols; c += tile.size()) z[c] = 0;
    } else if (activation == Activation::kRelu) {
      const float* __restrict__ y = out.row(n);
      for (int64_t c = tile.thread_rank(); c < grad_out.cols; c += tile.size()) {
        z[c] = y[c] > 0 ? z[c] : 0;
      }
    }
  }
}

__global__ void linear_backward_bias_kernel(Vector<float> grad_bias, Matrix<const float> grad_out,
                                            const int32_t* live_rows) {
  __shared__ ColumnPartials partials;
  const int64_t live = live_count(live_rows, grad_out.rows);
  for (const int64_t strip : units_of(cg::this_thread_block(), sum_strips(grad_out.cols))) {
    accumulate_column_sums(partials, grad_bias.data, grad_out, 0, live, strip,
                           [](int64_t) { return 1.0f; });
  }
}

void check_shapes(const char* operation, Matrix<const float> out, Matrix<const float> in,
                  Matrix<const float> weight, int64_t bias) {
  if (in.rows != out.rows || weight.rows != out.cols || weight.cols != in.cols ||
      bias != out.cols) {
    const auto text = [](Matrix<const float> m) {
      return std::to_string(m.rows) + " x " + std::to_string(m.cols);
    };
    throw std::invalid_argument(std::string(operation) + ": out " + text(out) + ", in " + text(in) +
                                ", weight " + text(weight) + ", bias of " + std::to_string(bias) +
                                " do not fit");
  }
}

}  // namespace

void linear_forward(Matrix<float> out, Matrix<const float> in, Matrix<const float> weight,
                    Vector<const float> bias, Activation activation, const int32_t* live_rows,
                    const Stream& stream) {
  check_shapes("linear_forward", out, in, weight, bias.size);
  if (out.size() == 0) return;
  gemm(out, in, Transpose::kNo, weight, Transpose::kYes, {.live_rows = live_rows}, stream);
  launch("linear_forward", tiles_for(out.rows, out.cols), stream, linear_forward_kernel, out, bias,
         activation, live_rows);
}

void linear_backward(Matrix<float> grad_in, Matrix<float> grad_weight, Vector<float> grad_bias,
                     Matrix<float> grad_out, Matrix<const float> in, Matrix<const float> out,
                     Matrix<const float> weight, Activation activation, const int32_t* live_rows,
                     const Stream& stream) {
  check_shapes("linear_backward", grad_out, in, weight, grad_bias.size);
  check_shapes("linear_backward", grad_out, in, grad_weight, grad_bias.size);
  if (activation == Activation::kRelu) {
    check_shapes("linear_backward", out, in, weight, grad_bias.size);
  }
  if (grad_in.size() != 0) {
    check_shapes("linear_backward", grad_out, grad_in, weight, grad_bias.size);
  }
  if (grad_out.size() == 0) {
    fill_zero(grad_in.data, grad_in.size() * static_cast<int64_t>(sizeof(float)), stream);
    return;
  }
  launch("linear_backward_mask", tiles_for(grad_out.rows, grad_out.cols), stream,
         linear_backward_mask_kernel, grad_out, out, activation, live_rows);
  launch("linear_backward_bias", blocks_for(sum_strips(grad_out.cols), grad_out.rows * kSumColumns),
         stream, linear_backward_bias_kernel, grad_bias, grad_out, live_rows);
  gemm(grad_weight, grad_out, Transpose::kYes, in, Transpose::kNo,
       {.beta = 1.0f, .live_rows = live_rows}, stream);
  if (grad_in.size() != 0) {
    gemm(grad_in, grad_out, Transpose::kNo, weight, Transpose::kNo, {.live_rows = live_rows},
         stream);
  }
}

}  // namespace derrd
