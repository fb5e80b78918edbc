// The first hidden layer of NeuMF's perceptron, for many pairs of few rows.
//
//   forward    h_p = relu(W [u; i] + b) = relu((W_u u + b) + W_i i)
//   backward   z_p = dL/dh_p where h_p > 0, else 0
//              dL/d(W_u u + b) = sum of z_p over the pairs of u;  for an item likewise
//
// A batch of 1024 samples has 2048 pairs, but only some 850 distinct users and 1900 distinct items,
// a user's ranking even one user and all items. So W_u u + b and W_i i are made per row
// (linear, gemm), and a pair adds two rows: H additions instead of 4 H^2 flops.
//
// Shapes: h [N, H], W_u u + b [users, H], W_i i [items, H].
// Mapping: forward, a tile per pair, whose lanes stride over H; backward, a tile per distinct row
// and strip of columns (column_sums.h), which adds the row's pairs in order. Strips share the work
// on a popular row.
// Bytes: 12 H per pair forward; 8 H per pair and 4 H per row backward. Nearly no arithmetic: the
// limit is the bandwidth of the cache that the batch's pairs lie in.
//
// Trap: relu(z) = 0 must not swallow a NaN, and rows beyond the batch's must become 0, since the
// products that follow sum over them.

#include "kernels/models/neumf_first_layer.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void neumf_first_layer_forward_kernel(Matrix<float> hidden,
                                                 Matrix<const float> user_part,
                                                 Matrix<const float> item_part, PairRows pairs) {
  const WarpTile tile = warp_tile();
  const int64_t active = pairs.active.of(hidden.rows);
  const int64_t cols = hidden.cols;
  for (const int64_t p : units_of(tile, hidden.rows)) {
    float* __restrict__ h = hidden.row(p);
    if (p >= active || pairs.users[p] < 0 || pairs.items[p] < 0) {
      for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) h[k] = 0.0f;
      continue;
    }
    const float* __restrict__ user = user_part.row(pairs.users[p]);
    const float* __restrict__ item = item_part.row(pairs.items[p]);
    for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
      const float z = user[k] + item[k];
      h[k] = z < 0.0f ? 0.0f : z;  // keeps NaN
    }
  }
}

__global__ void neumf_first_layer_backward_kernel(Matrix<float> grad_part,
                                                  Matrix<const float> grad_hidden,
                                                  Matrix<const float> hidden,
                                                  PairSegments segments) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *segments.rows.batch;
  const int64_t first_sample = segments.samples->begin;
  const int64_t strips = sum_strips(grad_part.cols);
  for (const int64_t unit : units_of(tile, grad_part.rows * strips)) {
    const int64_t i = unit / strips;
    const int64_t first = unit % strips * kSumColumns;
    const int64_t cols = strip_width(first, grad_part.cols);
    float* __restrict__ sum = grad_part.row(i) + first;
    for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) sum[k] = 0.0f;
    if (i >= batch.count) continue;
    const int64_t end = segments.rows.offsets[batch.begin + i + 1];
    for (int64_t o = segments.rows.offsets[batch.begin + i]; o < end; ++o) {
      const int64_t sample = segments.rows.occurrences[o] - first_sample;
      for (int64_t j = segments.first; j < segments.last; ++j) {
        const float* __restrict__ grad = grad_hidden.row(2 * sample + j) + first;
        const float* __restrict__ h = hidden.row(2 * sample + j) + first;
        for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
          sum[k] += h[k] > 0.0f ? grad[k] : 0.0f;
        }
      }
    }
  }
}

}  // namespace

void neumf_first_layer_forward(Matrix<float> hidden, Matrix<const float> user_part,
                               Matrix<const float> item_part, PairRows pairs,
                               const Stream& stream) {
  constexpr const char* kName = "neumf_first_layer_forward";
  require_shape(kName, "user_part", user_part, user_part.rows, hidden.cols);
  require_shape(kName, "item_part", item_part, item_part.rows, hidden.cols);
  require_size(kName, "users of the pairs", pairs.users, hidden.rows);
  require_size(kName, "items of the pairs", pairs.items, hidden.rows);
  if (hidden.size() == 0) return;
  launch(kName, tiles_for(hidden.rows, hidden.cols), stream, neumf_first_layer_forward_kernel,
         hidden, user_part, item_part, pairs);
}

void neumf_first_layer_backward(Matrix<float> grad_part, Matrix<const float> grad_hidden,
                                Matrix<const float> hidden, PairSegments segments,
                                const Stream& stream) {
  constexpr const char* kName = "neumf_first_layer_backward";
  require_shape(kName, "grad_part", grad_part, segments.rows.capacity, hidden.cols);
  require_shape(kName, "grad_hidden", grad_hidden, hidden.rows, hidden.cols);
  if (grad_part.size() == 0) return;
  const int64_t pairs_per_row = hidden.rows / grad_part.rows + 1;
  const int64_t strips = sum_strips(hidden.cols);
  launch(kName, tiles_for(grad_part.rows * strips, pairs_per_row * hidden.cols / strips), stream,
         neumf_first_layer_backward_kernel, grad_part, grad_hidden, hidden, segments);
}

}  // namespace derrd
