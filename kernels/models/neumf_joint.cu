// NeuMF's joint vector of a pair: matrix factorisation's product, then the perceptron's output
// (He et al., WWW'17, equation 12); its score; and the base loss, the binary cross entropy of the
// scores (equation 7), with its gradient. neumf_row_gradients.cu goes on from there.
//
//   joint      x_p = [u * i; h_p]
//   score      s_p = w . x_p + b
//   loss       softplus(-s_p) of positive pairs, softplus(s_p) of negative ones
//              dL/ds_p = -sigmoid(-s_p), or sigmoid(s_p)        dL/dx_p = dL/ds_p w
//
// Shapes: u [U, D], i [I, D], h [N, H], x [N, D + H], w [D + H], s [N].
// Mapping: a tile per pair, whose lanes stride over the columns. One launch makes all of it, and
// scores the vector while it is in registers.
// Bytes: per pair 12 D + 8 H for the vector, 4 (D + H) more for its gradient: bandwidth, the
// cache's.
//
// Traps: log(sigmoid(x)) is log(0) from x = -104 on, and sigmoid(x) - 1 cancels for large x. With
// e = exp(-|x|) <= 1 nothing overflows, and a nearly perfect score still has its exact small
// gradient. x of inactive pairs is 0, not left alone: the products of the output layer's gradient
// may sum over it.

#include "kernels/models/neumf_joint.h"

#include "kernels/common/elementary.h"
#include "kernels/common/row_lanes.h"
#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// Writes x_p, and calls use(k, x_p[k]) for the elements of each lane, ascending. False if the pair
/// is inactive or has no row: then x_p is 0.
template <class Use>
__device__ __forceinline__ bool make_joint(const WarpTile& tile, float* __restrict__ x, int64_t p,
                                           const NeumfJointCall& call, int64_t active, Use use) {
  const RowLanes<float> lanes(tile);
  const PairRows& pairs = call.pairs;
  const auto dims = static_cast<int>(call.user_table.cols);
  const auto hidden = static_cast<int>(call.hidden.cols);
  if (p >= active || pairs.users[p] < 0 || pairs.items[p] < 0) {
    fill_row(tile, x, dims + hidden, 0.0f);
    return false;
  }
  const float* __restrict__ user = call.user_table.row(pairs.users[p]);
  const float* __restrict__ item = call.item_table.row(pairs.items[p]);
  for (int k = lanes.rank; k < dims; k += lanes.kLanes) {
    x[k] = user[k] * item[k];
    use(k, x[k]);
  }
  const float* __restrict__ h = call.hidden.row(p);
  for (int k = lanes.rank; k < hidden; k += lanes.kLanes) {
    x[dims + k] = h[k];
    use(dims + k, h[k]);
  }
  return true;
}

/// Writes x_p and its score w . x_p + b. False as make_joint.
__device__ __forceinline__ bool score_joint(const WarpTile& tile, float& score, float* x, int64_t p,
                                            const NeumfJointCall& call, int64_t active) {
  const float* __restrict__ w = call.weight.data;
  float sum = 0.0f;
  const bool made =
      make_joint(tile, x, p, call, active, [&](int k, float x_k) { sum += w[k] * x_k; });
  score = cg::reduce(tile, sum, cg::plus<float>()) + call.bias[0];
  return made;
}

__global__ void neumf_joint_forward_kernel(Matrix<float> joint, NeumfJointCall call) {
  const WarpTile tile = warp_tile();
  const int64_t active = call.pairs.active.of(joint.rows);
  for (const int64_t p : units_of(tile, joint.rows)) {
    make_joint(tile, joint.row(p), p, call, active, [](int, float) {});
  }
}

__global__ void neumf_joint_score_kernel(Vector<float> score, Matrix<float> joint,
                                         NeumfJointCall call) {
  const WarpTile tile = warp_tile();
  const int64_t active = call.pairs.active.of(joint.rows);
  for (const int64_t p : units_of(tile, joint.rows)) {
    float s;
    const bool counts = score_joint(tile, s, joint.row(p), p, call, active);
    if (tile.thread_rank() == 0) score[p] = counts ? s : 0.0f;
  }
}

__global__ void neumf_joint_loss_kernel(NeumfJointLoss out, NeumfJointCall call) {
  const WarpTile tile = warp_tile();
  const RowLanes<float> lanes(tile);
  const int64_t active = call.pairs.active.of(out.joint.rows);
  const float* __restrict__ w = call.weight.data;
  const auto cols = static_cast<int>(call.weight.size);
  for (const int64_t p : units_of(tile, out.joint.rows)) {
    float* __restrict__ grad_x = out.grad_joint.row(p);
    float score, loss = 0.0f, grad = 0.0f;
    if (score_joint(tile, score, out.joint.row(p), p, call, active)) {
      const float sign = p % 2 == 0 ? -1.0f : 1.0f;
      const float z = sign * score;
      const float e = expf(-fabsf(z));
      loss = softplus_from(z, e);
      grad = sign * sigmoid_from(z, e);
      for (int k = lanes.rank; k < cols; k += lanes.kLanes) grad_x[k] = grad * w[k];
    } else {
      fill_row(tile, grad_x, cols, 0.0f);
    }
    if (tile.thread_rank() == 0) {
      out.loss[p] = loss;
      out.grad_score[p] = grad;
    }
  }
}

void check_joint(const char* operation, Matrix<const float> joint, const NeumfJointCall& call) {
  const int64_t dims = call.user_table.cols;
  const int64_t hidden = call.hidden.cols;
  require_shape(operation, "item_table", call.item_table, call.item_table.rows, dims);
  require_shape(operation, "hidden", call.hidden, joint.rows, hidden);
  require_shape(operation, "joint vectors", joint, joint.rows, dims + hidden);
  require_size(operation, "users of the pairs", call.pairs.users, joint.rows);
  require_size(operation, "items of the pairs", call.pairs.items, joint.rows);
}

void check_scores(const char* operation, Matrix<const float> joint, const NeumfJointCall& call) {
  check_joint(operation, joint, call);
  require_size(operation, "weight", call.weight, joint.cols);
  require_size(operation, "bias", call.bias, 1);
}

}  // namespace

void neumf_joint_forward(Matrix<float> joint, const NeumfJointCall& call, const Stream& stream) {
  constexpr const char* kName = "neumf_joint_forward";
  check_joint(kName, joint, call);
  if (joint.size() == 0) return;
  launch(kName, tiles_for(joint.rows, joint.cols), stream, neumf_joint_forward_kernel, joint, call);
}

void neumf_joint_score(Vector<float> score, Matrix<float> joint, const NeumfJointCall& call,
                       const Stream& stream) {
  constexpr const char* kName = "neumf_joint_score";
  check_scores(kName, joint, call);
  require_size(kName, "score", score, joint.rows);
  if (joint.rows == 0) return;
  launch(kName, tiles_for(joint.rows, 2 * joint.cols), stream, neumf_joint_score_kernel, score,
         joint, call);
}

void neumf_joint_loss(const NeumfJointLoss& out, const NeumfJointCall& call, const Stream& stream) {
  constexpr const char* kName = "neumf_joint_loss";
  const Matrix<float> joint = out.joint;
  check_scores(kName, joint, call);
  require_size(kName, "loss", out.loss, joint.rows);
  require_size(kName, "grad_score", out.grad_score, joint.rows);
  require_shape(kName, "grad_joint", out.grad_joint, joint.rows, joint.cols);
  if (joint.rows == 0) return;
  launch(kName, tiles_for(joint.rows, 3 * joint.cols), stream, neumf_joint_loss_kernel, out, call);
}

}  // namespace derrd
