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
// Mapping: forward, the lanes of a row (row_lanes.h) per sample, striding over the D columns;
// backward, a tile per part of a distinct row, whose samples it adds in order, or a block where
// they are many (row_terms.h). Users and positive items share a launch, the negative items take the
// next one (embedding.cu's accumulate_rows), because an item may be positive in one sample and
// negative in another.
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
#include "kernels/common/row_lanes.h"
#include "kernels/common/row_terms.h"
#include "kernels/common/shapes.h"
#include "kernels/models/embedding.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

template <class Element>
__global__ void bpr_forward_kernel(Vector<float> loss, Vector<float> coefficient,
                                   Matrix<const float> user_embedding,
                                   Matrix<const float> item_embedding, BprSamples samples) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const BatchCursor batch = *samples.batch;
  const int elements = elements_in<Element>(user_embedding.cols);
  for (const int64_t group : units_of(tile, Lanes::tiles(loss.size))) {
    const int64_t i = group * Lanes::kRows + lanes.row;
    float x = 0.0f;
    if (i < batch.count) {
      const int64_t sample = batch.begin + i;
      const auto row = [](Matrix<const float> table, int32_t r) {
        return elements_of<Element>(table.row(r));
      };
      const Element* __restrict__ user = row(user_embedding, samples.users[sample]);
      const Element* __restrict__ positive = row(item_embedding, samples.positives[sample]);
      const Element* __restrict__ negative = row(item_embedding, samples.negatives[sample]);
      for (int k = lanes.rank; k < elements; k += Lanes::kLanes) {
        x += dot(user[k], positive[k] - negative[k]);
      }
    }
    x = lanes.sum(tile, x);
    if (lanes.rank == 0 && i < loss.size) {
      const float e = expf(-fabsf(x));
      loss[i] = i < batch.count ? softplus_from(-x, e) : 0.0f;
      coefficient[i] = i < batch.count ? -sigmoid_from(-x, e) : 0.0f;
    }
  }
}

/// The distinct users, then the distinct positive items.
template <class Element, bool kShare>
__global__ void bpr_backward_kernel(Matrix<float> grad_user, Matrix<float> grad_item,
                                    Vector<const float> coefficient, BprCall call) {
  __shared__ SharedSums<Element> shared;
  const cg::thread_block block = cg::this_thread_block();
  const BprSamples& samples = call.samples;
  const int64_t first = samples.batch->begin;
  const int parts = row_parts<Element>(grad_user.cols);
  const int users = term_blocks<Element, kShare>(call.users.batch->count, parts);
  const int items = term_blocks<Element, kShare>(call.positives.batch->count, parts);
  for (const int64_t unit : units_of(block, int64_t{users} + items)) {
    const auto number = static_cast<int>(unit);
    if (number < users) {
      const auto term_of = [&](int o) -> RowTerm {
        const int64_t sample = call.users.occurrences[o];
        return {coefficient[sample - first], samples.positives[sample], samples.negatives[sample]};
      };
      add_terms<Element, true, kShare>(block, shared, grad_user, call.users, number, parts,
                                       call.item_embedding, term_of);
    } else {
      const auto term_of = [&](int o) -> RowTerm {
        const int64_t sample = call.positives.occurrences[o];
        return {coefficient[sample - first], samples.users[sample], 0};
      };
      add_terms<Element, false, kShare>(block, shared, grad_item, call.positives, number - users,
                                        parts, call.user_embedding, term_of);
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
  const int64_t cols = call.user_embedding.cols;
  const bool quads = are_quads(cols, {call.user_embedding.data, call.item_embedding.data});
  launch(kName, tiles_for(row_tiles(capacity, quads), cols), stream,
         quads ? bpr_forward_kernel<Quad> : bpr_forward_kernel<float>, loss, coefficient,
         call.user_embedding, call.item_embedding, call.samples);
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
  const bool quads =
      sums_are_quads(grad_user.cols, {users.data, items.data, grad_user.data, grad_item.data});
  const auto kernel =
      shares_rows(samples.capacity)
          ? (quads ? bpr_backward_kernel<Quad, true> : bpr_backward_kernel<float, true>)
          : (quads ? bpr_backward_kernel<Quad, false> : bpr_backward_kernel<float, false>);
  const int64_t blocks = blocks_of_terms(kName, 2 * samples.capacity, grad_user.cols, quads);
  launch(kName, blocks_for(blocks, kBlockTiles * grad_user.cols), stream, kernel, grad_user,
         grad_item, coefficient, call);
  accumulate_rows(grad_item, {users, samples.users, coefficient, samples.batch, -1.0f},
                  call.negatives, stream);
}

}  // namespace derrd
