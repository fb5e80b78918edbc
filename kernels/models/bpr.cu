// Bayesian personalised ranking: the base loss of matrix factorisation (Rendle et al., UAI'09).
//
//   forward    x_s = u . (v+ - v-)                 score of the sample s = (u, +, -)
//              loss_s = -log sigmoid(x_s) = softplus(-x_s)
//              c_s = d loss_s / d x_s = -sigmoid(-x_s)
//   backward   grad u  += c_s (v+ - v-)            over the samples s of user u, ascending
//              grad v+ += c_s u                    over the samples in which the item is positive
//              grad v- -= c_s u                    then over those in which it is negative
//
// Shapes: u [U, D], v [I, D]; loss, c [B]; samples [n], of which a batch is an adjacent part.
//
// Mapping: forward, a tile per sample; backward, a tile per distinct row, which adds the row's
// samples in order. Lanes stride over the D columns. Users and positive items share a launch, the
// negative items take the next one (embedding.cu's accumulate_rows), because an item may be
// positive in one sample and negative in another.
//
// Bytes: forward 12 D + 20 per sample; backward 16 D + 40 per sample and 8 D per distinct row. With
// 3 flops per sample and column forward and 7 backward the limit is memory bandwidth, the cache's
// for CiteULike.
//
// Trap: log(sigmoid(x)) is log(0) from x = -104 on, and 1 - sigmoid(x) cancels. With
// e = exp(-|x|) <= 1 nothing overflows: softplus(-x) = max(-x, 0) + log(1 + e), and sigmoid(-x) is
// e / (1 + e) or 1 / (1 + e) by the sign of x.

#include "kernels/models/bpr.h"

#include "kernels/common/elementary.h"
#include "kernels/common/shapes.h"
#include "kernels/models/embedding.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// u . (p - n), the same on every lane.
__device__ __forceinline__ float score_difference(const WarpTile& tile, const float* user,
                                                  const float* positive, const float* negative,
                                                  int64_t cols) {
  float sum = 0.0f;
  for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
    sum += user[k] * (positive[k] - negative[k]);
  }
  return cg::reduce(tile, sum, cg::plus<float>());
}

__global__ void bpr_forward_kernel(Vector<float> loss, Vector<float> coefficient,
                                   Matrix<const float> user_embedding,
                                   Matrix<const float> item_embedding, BprSamples samples) {
  const WarpTile tile = warp_tile();
  const BatchCursor batch = *samples.batch;
  for (const int64_t i : units_of(tile, loss.size)) {
    float sample_loss = 0.0f;
    float derivative = 0.0f;
    if (i < batch.count) {
      const int64_t sample = batch.begin + i;
      const float x =
          score_difference(tile, user_embedding.row(samples.users[sample]),
                           item_embedding.row(samples.positives[sample]),
                           item_embedding.row(samples.negatives[sample]), user_embedding.cols);
      const float e = expf(-fabsf(x));
      sample_loss = softplus_from(-x, e);
      derivative = -sigmoid_from(-x, e);
    }
    if (tile.thread_rank() == 0) {
      loss[i] = sample_loss;
      coefficient[i] = derivative;
    }
  }
}

/// Adds to the gradient of distinct row i the terms of its samples, in order: term_of(s) gives
/// sample s's as a function of the column.
template <class TermOf>
__device__ __forceinline__ void add_samples(const WarpTile& tile, Matrix<float> grad_table,
                                            const RowSegments& rows, int64_t i, TermOf&& term_of) {
  const int64_t segment = rows.batch->begin + i;
  const int32_t* __restrict__ occurrences = rows.occurrences.data;
  float* __restrict__ grad = grad_table.row(rows.rows[segment]);
  const int64_t end = rows.offsets[segment + 1];
  for (int64_t o = rows.offsets[segment]; o < end; ++o) {
    const auto term = term_of(occurrences[o]);
    for (int64_t k = tile.thread_rank(); k < grad_table.cols; k += tile.size()) grad[k] += term(k);
  }
}

/// A tile per distinct user, then a tile per distinct positive item.
__global__ void bpr_backward_kernel(Matrix<float> grad_user, Matrix<float> grad_item,
                                    Vector<const float> coefficient, BprCall call) {
  const WarpTile tile = warp_tile();
  const BprSamples& samples = call.samples;
  const int64_t first = samples.batch->begin;
  const int64_t users = call.users.batch->count;
  for (const int64_t unit : units_of(tile, users + call.positives.batch->count)) {
    if (unit < users) {
      add_samples(tile, grad_user, call.users, unit, [&](int64_t sample) {
        const float c = coefficient[sample - first];
        const float* __restrict__ positive = call.item_embedding.row(samples.positives[sample]);
        const float* __restrict__ negative = call.item_embedding.row(samples.negatives[sample]);
        return [=](int64_t k) { return c * (positive[k] - negative[k]); };
      });
    } else {
      add_samples(tile, grad_item, call.positives, unit - users, [&](int64_t sample) {
        const float c = coefficient[sample - first];
        const float* __restrict__ user = call.user_embedding.row(samples.users[sample]);
        return [=](int64_t k) { return c * user[k]; };
      });
    }
  }
}

void check_call(const char* operation, const BprCall& call) {
  const BprSamples& samples = call.samples;
  require_size(operation, "positives", samples.positives, samples.users.size);
  require_size(operation, "negatives", samples.negatives, samples.users.size);
  require_shape(operation, "item_embedding", call.item_embedding, call.item_embedding.rows,
                call.user_embedding.cols);
}

}  // namespace

void bpr_forward(Vector<float> loss, Vector<float> coefficient, const BprCall& call,
                 const Stream& stream) {
  constexpr const char* kName = "bpr_forward";
  const int64_t capacity = call.samples.capacity;
  check_call(kName, call);
  require_size(kName, "loss", loss, capacity);
  require_size(kName, "coefficient", coefficient, capacity);
  if (capacity == 0) return;
  launch(kName, tiles_for(capacity, call.user_embedding.cols), stream, bpr_forward_kernel, loss,
         coefficient, call.user_embedding, call.item_embedding, call.samples);
}

void bpr_backward(Matrix<float> grad_user, Matrix<float> grad_item, Vector<const float> coefficient,
                  const BprCall& call, const Stream& stream) {
  constexpr const char* kName = "bpr_backward";
  const BprSamples& samples = call.samples;
  const Matrix<const float> users = call.user_embedding;
  const Matrix<const float> items = call.item_embedding;
  check_call(kName, call);
  require_size(kName, "coefficient", coefficient, samples.capacity);
  require_shape(kName, "grad_user", grad_user, users.rows, users.cols);
  require_shape(kName, "grad_item", grad_item, items.rows, items.cols);
  for (const RowSegments& rows : {call.users, call.positives}) {
    require_size(kName, "occurrences", rows.occurrences, samples.users.size);
  }
  if (samples.capacity == 0 || grad_user.cols == 0) return;
  launch(kName, tiles_for(2 * samples.capacity, grad_user.cols), stream, bpr_backward_kernel,
         grad_user, grad_item, coefficient, call);
  accumulate_rows(grad_item, {users, samples.users, coefficient, samples.batch, -1.0f},
                  call.negatives, stream);
}

}  // namespace derrd
