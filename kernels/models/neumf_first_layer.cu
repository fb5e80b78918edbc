// The first hidden layer of NeuMF's perceptron, for many pairs of few rows.
//
//   h_p = relu(W [u; i] + b) = relu((W_u u + b) + W_i i)
//
// A batch of 1024 samples has 2048 pairs, but only some 850 distinct users and 1900 distinct items,
// a user's ranking even one user and all items. So W_u u and W_i i are made per row (gemm), and a
// pair adds two rows and the bias: 2 H additions instead of 4 H^2 flops. The gradients are
// neumf_row_gradients.cu's, and slot_hidden.cu's for the slots of ranking losses.
//
// Shapes: h [N, H], W_u u [users, H], W_i i [items, H], b [H].
// Mapping: a tile per pair, whose lanes stride over H.
// Bytes: 12 H per pair, bound by the bandwidth of the cache that the batch's pairs lie in.
//
// Trap: relu(z) = 0 must not swallow a NaN, and rows beyond the batch's must become 0, since the
// products that follow sum over them.

#include "kernels/models/neumf_first_layer.h"

#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void neumf_first_layer_forward_kernel(Matrix<float> hidden, NeumfFirstLayerCall call) {
  const WarpTile tile = warp_tile();
  const PairRows& pairs = call.pairs;
  const int64_t active = pairs.active.of(hidden.rows);
  const int64_t cols = hidden.cols;
  const auto relu = [](float z) { return z < 0.0f ? 0.0f : z; };  // keeps NaN
  for (const int64_t p : units_of(tile, hidden.rows)) {
    float* __restrict__ h = hidden.row(p);
    if (p >= active || pairs.users[p] < 0 || pairs.items[p] < 0) {
      fill_row(tile, h, cols, 0.0f);
      continue;
    }
    const float* __restrict__ user = call.user_part.row(pairs.users[p]);
    const float* __restrict__ item = call.item_part.row(pairs.items[p]);
    const float* __restrict__ b = call.bias.data;
    if (call.bias.size == 0) {
      for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
        h[k] = relu(user[k] + item[k]);
      }
    } else {
      for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
        h[k] = relu((user[k] + b[k]) + item[k]);
      }
    }
  }
}

}  // namespace

void neumf_first_layer_forward(Matrix<float> hidden, const NeumfFirstLayerCall& call,
                               const Stream& stream) {
  constexpr const char* kName = "neumf_first_layer_forward";
  require_shape(kName, "user_part", call.user_part, call.user_part.rows, hidden.cols);
  require_shape(kName, "item_part", call.item_part, call.item_part.rows, hidden.cols);
  if (call.bias.size != 0) require_size(kName, "bias", call.bias, hidden.cols);
  require_size(kName, "users of the pairs", call.pairs.users, hidden.rows);
  require_size(kName, "items of the pairs", call.pairs.items, hidden.rows);
  if (hidden.size() == 0) return;
  launch(kName, tiles_for(hidden.rows, hidden.cols), stream, neumf_first_layer_forward_kernel,
         hidden, call);
}

}  // namespace derrd
