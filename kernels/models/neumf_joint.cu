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
// Mapping: a tile per pair, whose lanes stride over the columns; four pairs a tile where D and H
// are whole quads. One launch makes all of it, and scores the vector while it is in registers.
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
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// Writes x_p, and calls use(k, element k of x_p) for the elements of each lane, ascending. False
/// if the pair is inactive or has no row: then x_p is 0.
template <class Element, class Use>
__device__ __forceinline__ bool make_joint(const RowLanes<Element>& lanes, Matrix<float> joint,
                                           int64_t p, const NeumfJointCall& call, int64_t active,
                                           Use use) {
  constexpr int kLanes = RowLanes<Element>::kLanes;
  if (p >= joint.rows) return false;
  Element* __restrict__ x = elements_of<Element>(joint.row(p));
  const PairRows& pairs = call.pairs;
  const int dims = elements_in<Element>(call.user_table.cols);
  const int hidden = elements_in<Element>(call.hidden.cols);
  if (p >= active || pairs.users[p] < 0 || pairs.items[p] < 0) {
    for (int k = lanes.rank; k < dims + hidden; k += kLanes) x[k] = Element{};
    return false;
  }
  const auto* __restrict__ user = elements_of<Element>(call.user_table.row(pairs.users[p]));
  const auto* __restrict__ item = elements_of<Element>(call.item_table.row(pairs.items[p]));
  for (int k = lanes.rank; k < dims; k += kLanes) {
    const Element product = user[k] * item[k];
    x[k] = product;
    use(k, product);
  }
  const auto* __restrict__ h = elements_of<Element>(call.hidden.row(p));
  for (int k = lanes.rank; k < hidden; k += kLanes) {
    x[dims + k] = h[k];
    use(dims + k, h[k]);
  }
  return true;
}

/// Writes x_p and its score w . x_p + b. False as make_joint. All lanes of the tile take part.
template <class Element>
__device__ __forceinline__ bool score_joint(const WarpTile& tile, const RowLanes<Element>& lanes,
                                            float& score, Matrix<float> joint, int64_t p,
                                            const NeumfJointCall& call, int64_t active) {
  const Element* __restrict__ w = elements_of<Element>(call.weight.data);
  float sum = 0.0f;
  const bool made =
      make_joint(lanes, joint, p, call, active, [&](int k, Element x_k) { sum += dot(w[k], x_k); });
  score = lanes.sum(tile, sum) + call.bias[0];
  return made;
}

template <class Element>
__global__ void neumf_joint_forward_kernel(Matrix<float> joint, NeumfJointCall call) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const int64_t active = call.pairs.active.of(joint.rows);
  for (const int64_t unit : units_of(tile, Lanes::tiles(joint.rows))) {
    make_joint(lanes, joint, unit * Lanes::kRows + lanes.row, call, active, [](int, Element) {});
  }
}

template <class Element>
__global__ void neumf_joint_score_kernel(Vector<float> score, Matrix<float> joint,
                                         NeumfJointCall call) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const int64_t active = call.pairs.active.of(joint.rows);
  for (const int64_t unit : units_of(tile, Lanes::tiles(joint.rows))) {
    const int64_t p = unit * Lanes::kRows + lanes.row;
    float s;
    const bool counts = score_joint(tile, lanes, s, joint, p, call, active);
    if (lanes.rank == 0 && p < joint.rows) score[p] = counts ? s : 0.0f;
  }
}

template <class Element>
__global__ void neumf_joint_loss_kernel(NeumfJointLoss out, NeumfJointCall call) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const int64_t active = call.pairs.active.of(out.joint.rows);
  const Element* __restrict__ w = elements_of<Element>(call.weight.data);
  const int elements = elements_in<Element>(call.weight.size);
  for (const int64_t unit : units_of(tile, Lanes::tiles(out.joint.rows))) {
    const int64_t p = unit * Lanes::kRows + lanes.row;
    float score, loss = 0.0f, grad = 0.0f;
    const bool counts = score_joint(tile, lanes, score, out.joint, p, call, active);
    if (counts) {
      const float sign = p % 2 == 0 ? -1.0f : 1.0f;
      const float z = sign * score;
      const float e = expf(-fabsf(z));
      loss = softplus_from(z, e);
      grad = sign * sigmoid_from(z, e);
    }
    if (p >= out.joint.rows) continue;
    Element* __restrict__ grad_x = elements_of<Element>(out.grad_joint.row(p));
    for (int k = lanes.rank; k < elements; k += Lanes::kLanes) {
      grad_x[k] = counts ? grad * w[k] : Element{};
    }
    if (lanes.rank == 0) {
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

/// True if the lanes should take quads.
bool joint_is_quads(Matrix<const float> joint, const NeumfJointCall& call) {
  return call.user_table.cols % 4 == 0 &&
         are_quads(call.hidden.cols, {call.user_table.data, call.item_table.data, call.hidden.data,
                                      call.weight.data, joint.data});
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
  const bool quads = joint_is_quads(joint, call);
  launch(kName, tiles_for(row_tiles(joint.rows, quads), joint.cols), stream,
         quads ? neumf_joint_forward_kernel<Quad> : neumf_joint_forward_kernel<float>, joint, call);
}

void neumf_joint_score(Vector<float> score, Matrix<float> joint, const NeumfJointCall& call,
                       const Stream& stream) {
  constexpr const char* kName = "neumf_joint_score";
  check_scores(kName, joint, call);
  require_size(kName, "score", score, joint.rows);
  if (joint.rows == 0) return;
  const bool quads = joint_is_quads(joint, call);
  launch(kName, tiles_for(row_tiles(joint.rows, quads), 2 * joint.cols), stream,
         quads ? neumf_joint_score_kernel<Quad> : neumf_joint_score_kernel<float>, score, joint,
         call);
}

void neumf_joint_loss(const NeumfJointLoss& out, const NeumfJointCall& call, const Stream& stream) {
  constexpr const char* kName = "neumf_joint_loss";
  const Matrix<float> joint = out.joint;
  check_scores(kName, joint, call);
  require_size(kName, "loss", out.loss, joint.rows);
  require_size(kName, "grad_score", out.grad_score, joint.rows);
  require_shape(kName, "grad_joint", out.grad_joint, joint.rows, joint.cols);
  if (joint.rows == 0) return;
  const bool quads = joint_is_quads(joint, call) && are_quads(joint.cols, {out.grad_joint.data});
  launch(kName, tiles_for(row_tiles(joint.rows, quads), 3 * joint.cols), stream,
         quads ? neumf_joint_loss_kernel<Quad> : neumf_joint_loss_kernel<float>, out, call);
}

}  // namespace derrd
