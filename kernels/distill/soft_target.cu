// Collaborative Distillation: the student's probabilities follow the teacher's, item by item (Lee
// et al., ICDM'19).
//
//   q      = sigmoid((t + t2) / t1)                              from the teacher's score t
//   loss   = sum over slots of -q log sigmoid(s) - (1 - q) log(1 - sigmoid(s))
//          = sum over slots of softplus(s) - q s
//   dL/ds  = sigmoid(s) - q
//
// Shapes: score, grad_score [B', n], target [U, n], loss [B'], with B' distinct anchors in the
// batch. Mapping: a tile owns an anchor, its lanes stride over the slots.
// Bytes: 16 n an anchor (score, target and samples read, gradient written), an exponential each;
// soft_targets 8 a score.
//
// Trap: softplus(s) - q s is the difference of two numbers of the size of s, where the loss may be
// tiny. Split at 0 it is a sum of numbers that are never negative:
//   s > 0:  |s| (1 - q) + log(1 + e^-|s|)        else:  |s| q + log(1 + e^-|s|)

#include "kernels/distill/soft_target.h"

#include <stdexcept>
#include <string>

#include "kernels/common/elementary.h"
#include "kernels/common/shapes.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void soft_targets_kernel(Vector<float> target, Vector<const float> teacher_score,
                                    float t1, float t2) {
  for (const int64_t i : units_of(SingleThread{}, target.size)) {
    const float x = (teacher_score[i] + t2) / t1;
    target[i] = sigmoid_from(x, exp_vectorized(-fabsf(x)));
  }
}

__global__ void soft_target_loss_kernel(Vector<float> loss, Matrix<float> grad_score,
                                        SoftTargetCall call) {
  const WarpTile tile = warp_tile();
  const SlotBatch& batch = call.batch;
  const int64_t lane = tile.thread_rank();
  const int64_t slots = batch.samples.cols;
  const int64_t begin = batch.anchors.batch->begin;
  const int64_t count = batch.anchors.batch->count;
  for (const int64_t unit : units_of(tile, loss.size)) {
    if (unit >= count) {  // the same for all lanes
      if (lane == 0) loss[unit] = 0.0f;
      continue;
    }
    const int64_t row = batch.anchors.rows[begin + unit];
    const int32_t* __restrict__ samples = batch.samples.row(row);
    const float* __restrict__ targets = call.target.row(row);
    const float* __restrict__ scores = call.score.row(unit);
    float* __restrict__ grad = grad_score.row(unit);
    float lane_loss = 0.0f;
    for (int64_t slot = lane; slot < slots; slot += tile.size()) {
      const float present = samples[slot] >= 0 ? 1.0f : 0.0f;  // a factor: no branch
      const float s = scores[slot];
      const float q = targets[slot];
      const float size = fabsf(s);
      const float e = exp_vectorized(-size);
      const float term = size * (s > 0.0f ? 1.0f - q : q) + log_one_plus(e);
      lane_loss += present * term;
      grad[slot] = present * call.scale * (sigmoid_from(s, e) - q);
    }
    lane_loss = cg::reduce(tile, lane_loss, cg::plus<float>());
    if (lane == 0) loss[unit] = lane_loss;
  }
}

}  // namespace

void soft_targets(Matrix<float> target, Matrix<const float> teacher_score, float t1, float t2,
                  const Stream& stream) {
  require_shape("soft_targets", "target", target, teacher_score.rows, teacher_score.cols);
  if (!(t1 > 0.0f)) {
    throw std::invalid_argument("soft_targets: t1 is " + std::to_string(t1) +
                                ", it must be positive");
  }
  if (target.size() == 0) return;
  constexpr int64_t kOperations = 20;
  launch("soft_targets", threads_for(target.size(), kOperations), stream, soft_targets_kernel,
         target.flat(), teacher_score.flat(), t1, t2);
}

void soft_target_loss(Vector<float> loss, Matrix<float> grad_score, const SoftTargetCall& call,
                      const Stream& stream) {
  constexpr const char* kName = "soft_target_loss";
  const int64_t slots = call.batch.samples.cols;
  require_scores(kName, loss, grad_score, call.score, call.batch);
  require_shape(kName, "target", call.target, call.batch.samples.rows, slots);
  if (loss.size == 0) return;
  constexpr int64_t kOperations = 30;
  launch(kName, tiles_for(loss.size, slots * kOperations), stream, soft_target_loss_kernel, loss,
         grad_score, call);
}

}  // namespace derrd
