// NeuMF's joint vector of a pair: matrix factorisation's product, then the perceptron's output
// (He et al., WWW'17, equation 12), and its score. The output layer's gradients are those of a
// `linear` of one column.
//
//   forward    x_p = [u * i; h_p]          score_p = w . x_p + b
//   backward   dL/du += sum over the pairs p of u of (dL/dx_p)[:D] * i_p;  dL/di likewise
//              dL/dh_p = (dL/dx_p)[D:]
//
// Shapes: u [U, D], i [I, D], h [N, H], x [N, D + H].
// Mapping: a tile per pair (forward, dL/dh), whose lanes stride over the columns, or per distinct
// row and strip of columns (column_sums.h), which adds the row's pairs in order. Items take two
// launches, positives and negatives, because an item may be both and only one tile at a time may
// add to its row.
// Bytes: per pair 12 D + 8 H forward, 16 D + 8 H backward, and 8 D per distinct row: bandwidth, the
// cache's for the pairs, the table's memory for the rows.
//
// Trap: x of inactive pairs is 0, not left alone: the output layer's products may sum
// over it.

#include "kernels/models/neumf_joint.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void neumf_joint_forward_kernel(Matrix<float> joint, Matrix<const float> user_table,
                                           Matrix<const float> item_table,
                                           Matrix<const float> hidden, PairRows pairs) {
  const WarpTile tile = warp_tile();
  const int64_t active = pairs.active.of(joint.rows);
  const int64_t dims = user_table.cols;
  for (const int64_t p : units_of(tile, joint.rows)) {
    float* __restrict__ x = joint.row(p);
    if (p >= active || pairs.users[p] < 0 || pairs.items[p] < 0) {
      for (int64_t k = tile.thread_rank(); k < joint.cols; k += tile.size()) x[k] = 0.0f;
      continue;
    }
    const float* __restrict__ user = user_table.row(pairs.users[p]);
    const float* __restrict__ item = item_table.row(pairs.items[p]);
    const float* __restrict__ h = hidden.row(p);
    for (int64_t k = tile.thread_rank(); k < dims; k += tile.size()) x[k] = user[k] * item[k];
    for (int64_t k = tile.thread_rank(); k < hidden.cols; k += tile.size()) x[dims + k] = h[k];
  }
}

__global__ void neumf_joint_score_kernel(Vector<float> score, Matrix<const float> joint,
                                         Vector<const float> weight, Vector<const float> bias,
                                         PairRows pairs) {
  const WarpTile tile = warp_tile();
  const int64_t active = pairs.active.of(joint.rows);
  const float* __restrict__ w = weight.data;
  for (const int64_t p : units_of(tile, score.size)) {
    const bool counts = p < active && pairs.users[p] >= 0 && pairs.items[p] >= 0;
    const float* __restrict__ x = joint.row(p);
    float sum = 0.0f;
    for (int64_t k = tile.thread_rank(); k < joint.cols; k += tile.size()) sum += w[k] * x[k];
    sum = cg::reduce(tile, sum, cg::plus<float>());
    if (tile.thread_rank() == 0) score[p] = counts ? sum + bias[0] : 0.0f;
  }
}

/// Gradient of one of the two tables: `other` is the other one, other_rows its rows in the pairs.
__global__ void neumf_joint_backward_rows_kernel(Matrix<float> grad_table,
                                                 Matrix<const float> grad_joint,
                                                 Matrix<const float> other,
                                                 Vector<const int32_t> other_rows,
                                                 PairSegments segments) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *segments.rows.batch;
  const int64_t first_sample = segments.samples->begin;
  const int64_t strips = sum_strips(grad_table.cols);
  for (const int64_t unit : units_of(tile, batch.count * strips)) {
    const int64_t i = unit / strips;
    const int64_t first = unit % strips * kSumColumns;
    const int64_t cols = strip_width(first, grad_table.cols);
    float* __restrict__ grad = grad_table.row(segments.rows.rows[batch.begin + i]) + first;
    const int64_t end = segments.rows.offsets[batch.begin + i + 1];
    for (int64_t o = segments.rows.offsets[batch.begin + i]; o < end; ++o) {
      const int64_t sample = segments.rows.occurrences[o] - first_sample;
      for (int64_t j = segments.first; j < segments.last; ++j) {
        const int64_t pair = 2 * sample + j;
        const float* __restrict__ grad_x = grad_joint.row(pair) + first;
        const float* __restrict__ row = other.row(other_rows[pair]) + first;
        for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
          grad[k] += grad_x[k] * row[k];
        }
      }
    }
  }
}

__global__ void neumf_joint_backward_hidden_kernel(Matrix<float> grad_hidden,
                                                   Matrix<const float> grad_joint,
                                                   ActiveRows active) {
  const WarpTile tile = warp_tile();
  const int64_t active_pairs = active.of(grad_joint.rows);
  const int64_t dims = grad_joint.cols - grad_hidden.cols;
  for (const int64_t p : units_of(tile, grad_hidden.rows)) {
    float* __restrict__ grad = grad_hidden.row(p);
    if (p >= active_pairs) {
      for (int64_t k = tile.thread_rank(); k < grad_hidden.cols; k += tile.size()) grad[k] = 0.0f;
      continue;
    }
    const float* __restrict__ from = grad_joint.row(p) + dims;
    for (int64_t k = tile.thread_rank(); k < grad_hidden.cols; k += tile.size()) grad[k] = from[k];
  }
}

void check_shapes(const char* operation, Matrix<const float> joint, int64_t hidden,
                  const NeumfJointCall& call) {
  const int64_t dims = call.user_table.cols;
  require_shape(operation, "item_table", call.item_table, call.item_table.rows, dims);
  require_shape(operation, "joint vectors", joint, joint.rows, dims + hidden);
  require_size(operation, "users of the pairs", call.pairs.users, joint.rows);
  require_size(operation, "items of the pairs", call.pairs.items, joint.rows);
}

}  // namespace

void neumf_joint_forward(Matrix<float> joint, const NeumfJointCall& call, const Stream& stream) {
  constexpr const char* kName = "neumf_joint_forward";
  check_shapes(kName, joint, call.hidden.cols, call);
  require_shape(kName, "hidden", call.hidden, joint.rows, call.hidden.cols);
  if (joint.size() == 0) return;
  launch(kName, tiles_for(joint.rows, joint.cols), stream, neumf_joint_forward_kernel, joint,
         call.user_table, call.item_table, call.hidden, call.pairs);
}

void neumf_joint_score(Vector<float> score, Matrix<const float> joint, Vector<const float> weight,
                       Vector<const float> bias, PairRows pairs, const Stream& stream) {
  constexpr const char* kName = "neumf_joint_score";
  require_shape(kName, "joint vectors", joint, score.size, weight.size);
  require_size(kName, "bias", bias, 1);
  require_size(kName, "users of the pairs", pairs.users, joint.rows);
  require_size(kName, "items of the pairs", pairs.items, joint.rows);
  if (score.size == 0) return;
  launch(kName, tiles_for(score.size, joint.cols), stream, neumf_joint_score_kernel, score, joint,
         weight, bias, pairs);
}

void neumf_joint_backward(const NeumfJointGradients& gradients, Matrix<const float> grad_joint,
                          const NeumfJointCall& call, const PairBatch& batch,
                          const Stream& stream) {
  constexpr const char* kName = "neumf_joint_backward";
  const Matrix<const float> users = call.user_table;
  const Matrix<const float> items = call.item_table;
  const Matrix<float> hidden = gradients.hidden;
  check_shapes(kName, grad_joint, hidden.cols, call);
  require_shape(kName, "gradients.hidden", hidden, grad_joint.rows, hidden.cols);
  require_shape(kName, "gradients.user", gradients.user, users.rows, users.cols);
  require_shape(kName, "gradients.item", gradients.item, items.rows, items.cols);
  if (grad_joint.rows == 0) return;
  if (hidden.cols > 0) {
    launch("neumf_joint_backward_hidden", tiles_for(hidden.rows, hidden.cols), stream,
           neumf_joint_backward_hidden_kernel, hidden, grad_joint, call.pairs.active);
  }
  if (users.cols == 0) return;
  const int64_t strips = sum_strips(users.cols);
  const Geometry geometry = tiles_for(grad_joint.rows * strips, users.cols / strips);
  launch("neumf_joint_backward_users", geometry, stream, neumf_joint_backward_rows_kernel,
         gradients.user, grad_joint, items, call.pairs.items, batch.users());
  for (const PairSegments& segments : {batch.positives(), batch.negatives()}) {
    launch("neumf_joint_backward_items", geometry, stream, neumf_joint_backward_rows_kernel,
           gradients.item, grad_joint, users, call.pairs.users, segments);
  }
}

}  // namespace derrd
