// Linear layer with optional ReLU, the building block of gates and multilayer perceptrons.
//
//   forward    Y = f(X W^T + b)
//   backward   Z = dL/dY where f let it through (Y > 0 for ReLU), else 0
//              dL/dX = Z W        dL/dW += Z^T X        dL/db += column sums of Z
//
// Shapes: X [N, k], W [n, k], b [n], Y [N, n], of whose rows the first ones are active.
// The products are the BLAS library's (kernels/platform/gemm.h); here are the bias, the activation
// and the column sums. Threads: a tile owns a row (bias, mask); a block owns a strip of columns
// (sums; column_sums.h), its tiles interleave the rows and their partial sums are added in order:
// no atomics. Of many rows, blocks take parts, whose sums lie where dL/dX will be written.
// Bytes, besides the products': 8 N n forward, 12 N n for the mask (ReLU), 4 N n for the sums; all
// bound by memory.
//
// Trap: a product may leave anything, NaN included, in inactive rows, and the products
// of the backward pass may sum over them. So every pass here sets them to 0.

#include "kernels/models/linear.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/common/column_sums.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/call_units.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

__global__ void linear_forward_kernel(Matrix<float> out, Vector<const float> bias,
                                      Activation activation, ActiveRows active_rows) {
  const WarpTile tile = warp_tile();
  const int64_t active = active_rows.of(out.rows);
  for (const int64_t n : units_of(tile, out.rows)) {
    float* __restrict__ y = out.row(n);
    const float* __restrict__ b = bias.data;
    if (n >= active) {
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
                                            Activation activation, ActiveRows active_rows) {
  const WarpTile tile = warp_tile();
  const int64_t active = active_rows.of(grad_out.rows);
  for (const int64_t n : units_of(tile, grad_out.rows)) {
    float* __restrict__ z = grad_out.row(n);
    if (n >= active) {
      for (int64_t c = tile.thread_rank(); c < grad_out.cols; c += tile.size()) z[c] = 0;
    } else if (activation == Activation::kRelu) {
      const float* __restrict__ y = out.row(n);
      for (int64_t c = tile.thread_rank(); c < grad_out.cols; c += tile.size()) {
        z[c] = y[c] > 0 ? z[c] : 0;
      }
    }
  }
}

/// partials[part] = column sums of part `part` of the active rows.
__global__ void sum_parts_kernel(Matrix<float> partials, Matrix<const float> grad_out,
                                 ActiveRows active_rows) {
  __shared__ ColumnPartials shared;
  const auto block = cg::this_thread_block();
  const int64_t active = active_rows.of(grad_out.rows);
  const int64_t strips = column_strips(partials.cols);
  for (const int64_t unit : units_of(block, partials.rows * strips)) {
    const int64_t part = unit / strips;
    const RowRange rows = {active * part / partials.rows, active * (part + 1) / partials.rows};
    const Vector<float> sums = {partials.row(part), partials.cols};
    const int64_t column = unit % strips * kStripColumns + block.thread_rank();
    if (block.thread_rank() < kStripColumns && column < sums.size) sums[column] = 0.0f;
    accumulate_column_sums(block, shared, sums, grad_out, rows, unit % strips,
                           [](int64_t) { return 1.0f; });
  }
}

__global__ void accumulate_bias_kernel(const __grid_constant__ CallList<BiasGradient> calls) {
  __shared__ ColumnPartials partials;
  const auto target = [](const BiasGradient& call) { return call.bias.data; };
  const auto units = [&](const BiasGradient& call) {
    return begins_sum(calls, call, target) ? column_strips(call.bias.size) : int64_t{0};
  };
  const auto block = cg::this_thread_block();
  for_each_unit(block, calls, units, [&](const BiasGradient& first, int64_t strip) {
    for_each_summand(calls, first, target, [&](const BiasGradient& call) {
      accumulate_column_sums(block, partials, call.bias, call.grad_out,
                             {0, call.active.of(call.grad_out.rows)}, strip,
                             [](int64_t) { return 1.0f; });
    });
  });
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

void accumulate_bias(const CallList<BiasGradient>& calls, const Stream& stream) {
  for (const auto& [bias, grad_out, active] : calls) {
    require_size("accumulate_bias", "bias", bias, grad_out.cols);
  }
  const int64_t strips =
      total_units(calls, [](const BiasGradient& call) { return column_strips(call.bias.size); });
  if (strips == 0) return;
  launch("accumulate_bias", blocks_for(strips, calls[0].grad_out.rows * kStripColumns), stream,
         accumulate_bias_kernel, calls);
}

namespace {

/// bias += column sums of grad_out, of many rows in parts. `scratch` is overwritten.
void accumulate_bias_in_parts(const BiasGradient& call, Matrix<float> scratch,
                              const Stream& stream) {
  constexpr int64_t kPartRows = 1024, kLeastParts = 8, kMostParts = 512;
  const int64_t cols = call.bias.size;
  const int64_t parts = std::min(call.grad_out.rows / kPartRows, kMostParts);
  if (kTileLanes == 1 || parts < kLeastParts || scratch.size() < parts * cols) {
    return accumulate_bias(call, stream);
  }
  const Matrix<float> partials = {scratch.data, parts, cols};
  launch("sum_parts", blocks_for(parts * column_strips(cols), kPartRows * kStripColumns), stream,
         sum_parts_kernel, partials, call.grad_out, call.active);
  accumulate_bias(BiasGradient{call.bias, partials}, stream);
}

}  // namespace

void linear_forward(Matrix<float> out, const LinearCall& call, const Stream& stream) {
  check_shapes("linear_forward", out, call.in, call.weight, call.bias.size);
  if (out.size() == 0) return;
  gemm(out, call.in, transpose(call.weight), {.active = call.active}, stream);
  launch("linear_forward", tiles_for(out.rows, out.cols), stream, linear_forward_kernel, out,
         call.bias, call.activation, call.active);
}

void linear_backward(const LinearGradients& gradients, Matrix<float> grad_out,
                     Matrix<const float> out, const LinearCall& call, const Stream& stream) {
  constexpr const char* kName = "linear_backward";
  const auto [grad_in, grad_weight, grad_bias] = gradients;
  check_shapes(kName, grad_out, call.in, call.weight, grad_bias.size);
  check_shapes(kName, grad_out, call.in, grad_weight, grad_bias.size);
  if (call.activation == Activation::kRelu) {
    check_shapes(kName, out, call.in, call.weight, grad_bias.size);
  }
  if (grad_in.size() != 0) check_shapes(kName, grad_out, grad_in, call.weight, grad_bias.size);
  if (grad_out.size() == 0) {
    fill_zero(grad_in.data, grad_in.size() * static_cast<int64_t>(sizeof(float)), stream);
    return;
  }
  launch("linear_backward_mask", tiles_for(grad_out.rows, grad_out.cols), stream,
         linear_backward_mask_kernel, grad_out, out, call.activation, call.active);
  accumulate_bias_in_parts({grad_bias, grad_out, call.active}, grad_in, stream);
  gemm(grad_weight, transpose(grad_out), call.in, {.beta = 1.0f, .active = call.active}, stream);
  if (grad_in.size() != 0) {
    gemm(grad_in, grad_out, call.weight, {.active = call.active}, stream);
  }
}

}  // namespace derrd
