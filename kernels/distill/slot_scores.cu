// Scores of sampled rows: what every ranking loss of a student starts from, and how its gradient
// gets back into the embedding tables.
//
//   forward    score[n, slot] = a_n . b_sample            a_n: vector of the batch's n-th anchor
//   backward   grad a_n      += sum over slots of g[n, slot] b_sample
//              grad b_r      += sum over the slots (n, slot) of the batch that hold r of g a_n
//
// The anchors are users and the samples items, or the other way round.
//
// Shapes: samples [A, S], a [A, D], b [R, D], score and g [N, S], with N distinct anchors in the
// batch. Forward, a tile owns an anchor, and its lanes stride over D, four slots at a time.
// Backward, a tile owns a row of either table: it collects the rows that contribute, in order, in
// shared memory, then adds them four at a time. For the other table it walks the occurrences of a
// row in the samples of all anchors and keeps those whose anchor is in the batch: cheaper than
// sorting every batch's occurrences, and as deterministic. Bytes a batch: forward 4 D N S, read,
// backward twice that and 8 A S for the walk; the tables of a student fit into the last-level
// cache, whose bandwidth is the limit.
//
// Trap: float atomics in the other table's gradient would make the sum depend on the schedule.

#include "kernels/distill/slot_scores.h"

#include "kernels/common/shapes.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// score[slot] = anchor . other_embedding[samples[slot]], 0 where there is none. Four slots share
/// the loads of the anchor's row, and their rows are fetched together.
__device__ __forceinline__ void score_row(const WarpTile& tile, float* __restrict__ score,
                                          const float* __restrict__ anchor,
                                          Matrix<const float> other_embedding,
                                          const int32_t* __restrict__ samples, int64_t slots) {
  const int64_t cols = other_embedding.cols;
  const auto row_of = [&](int64_t slot) {
    const int32_t sample = slot < slots ? samples[slot] : -1;
    return sample >= 0 ? other_embedding.row(sample) : anchor;
  };
  const auto keep = [&](int64_t slot, float value) {
    if (slot < slots && tile.thread_rank() == 0) score[slot] = samples[slot] >= 0 ? value : 0.0f;
  };
  for (int64_t slot = 0; slot < slots; slot += 4) {
    const float* row0 = row_of(slot);
    const float* row1 = row_of(slot + 1);
    const float* row2 = row_of(slot + 2);
    const float* row3 = row_of(slot + 3);
    float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int64_t d = tile.thread_rank(); d < cols; d += tile.size()) {
      sum0 += anchor[d] * row0[d];
      sum1 += anchor[d] * row1[d];
      sum2 += anchor[d] * row2[d];
      sum3 += anchor[d] * row3[d];
    }
    keep(slot, cg::reduce(tile, sum0, cg::plus<float>()));
    keep(slot + 1, cg::reduce(tile, sum1, cg::plus<float>()));
    keep(slot + 2, cg::reduce(tile, sum2, cg::plus<float>()));
    keep(slot + 3, cg::reduce(tile, sum3, cg::plus<float>()));
  }
}

__global__ void slot_scores_forward_kernel(Matrix<float> score, SlotScoresCall call) {
  const WarpTile tile = warp_tile();
  const SlotBatch& batch = call.batch;
  const int64_t begin = batch.anchors.batch->begin;
  for (const int64_t n : units_of(tile, batch.anchors.batch->count)) {
    const int64_t row = batch.anchors.rows[begin + n];
    score_row(tile, score.row(n), call.anchor_embedding.row(row), call.other_embedding,
              batch.samples.row(row), batch.samples.cols);
  }
}

__global__ void item_scores_kernel(Matrix<float> score, Matrix<const float> user,
                                   Matrix<const float> item_embedding, Matrix<const int32_t> item) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, score.rows)) {
    score_row(tile, score.row(r), user.row(r), item_embedding, item.row(r), item.cols);
  }
}

/// out += sum over the collected slots, in order, of weight_of(slot) * row_of(slot), four rows at a
/// time. The last four are filled up with the first of them, weighing nothing.
template <class RowOf, class WeightOf>
__device__ __forceinline__ void add_rows(const WarpTile& tile, float* __restrict__ out,
                                         int64_t cols, Contributions slots, int64_t count,
                                         RowOf&& row_of, WeightOf&& weight_of) {
  for (int64_t i = 0; i < count; i += 4) {
    const uint32_t slot0 = slots[i];
    const uint32_t slot1 = slots[i + 1 < count ? i + 1 : i];
    const uint32_t slot2 = slots[i + 2 < count ? i + 2 : i];
    const uint32_t slot3 = slots[i + 3 < count ? i + 3 : i];
    const float* __restrict__ row0 = row_of(slot0);
    const float* __restrict__ row1 = row_of(slot1);
    const float* __restrict__ row2 = row_of(slot2);
    const float* __restrict__ row3 = row_of(slot3);
    const float weight0 = weight_of(slot0);
    const float weight1 = i + 1 < count ? weight_of(slot1) : 0.0f;
    const float weight2 = i + 2 < count ? weight_of(slot2) : 0.0f;
    const float weight3 = i + 3 < count ? weight_of(slot3) : 0.0f;
    for (int64_t d = tile.thread_rank(); d < cols; d += tile.size()) {
      out[d] += (weight0 * row0[d] + weight1 * row1[d]) + (weight2 * row2[d] + weight3 * row3[d]);
    }
  }
}

__global__ void slot_scores_backward_anchors_kernel(Matrix<float> grad_anchor,
                                                    Matrix<const float> grad_score,
                                                    SlotScoresCall call) {
  __shared__ SharedArray<uint32_t, kBlockTiles * kChunk> shared_slots;
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const SlotBatch& batch = call.batch;
  const int64_t slots = batch.samples.cols;
  const int64_t begin = batch.anchors.batch->begin;
  for (const int64_t n : units_of(tile, batch.anchors.batch->count)) {
    const int64_t row = batch.anchors.rows[begin + n];
    const int32_t* __restrict__ samples = batch.samples.row(row);
    const float* __restrict__ weights = grad_score.row(n);
    walk_slots(tile, collected, samples, slots, [&](int64_t contributions) {
      add_rows(
          tile, grad_anchor.row(row), grad_anchor.cols, collected, contributions,
          [&](uint32_t slot) { return call.other_embedding.row(samples[slot]); },
          [&](uint32_t slot) { return weights[slot]; });
    });
  }
}

__global__ void slot_scores_backward_others_kernel(Matrix<float> grad_other,
                                                   Matrix<const float> grad_score,
                                                   SlotScoresCall call, SlotCode code) {
  __shared__ SharedArray<uint32_t, kBlockTiles * kChunk> shared_slots;
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const BatchOccurrences occurrences = batch_occurrences(call.index, code, call.batch.anchors);
  for (const int64_t row : units_of(tile, grad_other.rows)) {
    walk_occurrences(tile, collected, occurrences, row, [&](int64_t contributions) {
      add_rows(
          tile, grad_other.row(row), grad_other.cols, collected, contributions,
          [&](uint32_t occurrence) { return call.anchor_embedding.row(code.anchor(occurrence)); },
          [&](uint32_t occurrence) {
            return grad_score.row(occurrences.position(occurrence))[code.slot(occurrence)];
          });
    });
  }
}

}  // namespace

void slot_scores_forward(Matrix<float> score, const SlotScoresCall& call, const Stream& stream) {
  constexpr const char* kName = "slot_scores_forward";
  const int64_t slots = call.batch.samples.cols;
  const int64_t cols = call.other_embedding.cols;
  require_shape(kName, "anchor_embedding", call.anchor_embedding, call.batch.samples.rows, cols);
  require_shape(kName, "score", score, call.batch.anchors.capacity, slots);
  if (score.size() == 0) return;
  launch(kName, tiles_for(score.rows, slots * (cols + 1)), stream, slot_scores_forward_kernel,
         score, call);
}

void slot_scores_backward(Matrix<float> grad_anchor, Matrix<float> grad_other,
                          Matrix<const float> grad_score, const SlotScoresCall& call,
                          const Stream& stream) {
  constexpr const char* kName = "slot_scores_backward";
  const SlotBatch& batch = call.batch;
  const int64_t anchors = batch.samples.rows;
  const int64_t others = call.other_embedding.rows;
  const int64_t slots = batch.samples.cols;
  const int64_t cols = call.other_embedding.cols;
  require_shape(kName, "anchor_embedding", call.anchor_embedding, anchors, cols);
  require_shape(kName, "grad_anchor", grad_anchor, anchors, cols);
  require_shape(kName, "grad_other", grad_other, others, cols);
  require_shape(kName, "grad_score", grad_score, batch.anchors.capacity, slots);
  require_index(kName, call.index, others, batch.samples);
  if (grad_score.size() == 0 || cols == 0) return;
  launch("slot_scores_backward_anchors", tiles_for(grad_score.rows, slots * cols), stream,
         slot_scores_backward_anchors_kernel, grad_anchor, grad_score, call);
  if (others == 0) return;
  const int64_t walked = batch.samples.size() / others + 1;
  const int64_t added = grad_score.size() * cols / others;
  launch("slot_scores_backward_others", tiles_for(others, walked + added), stream,
         slot_scores_backward_others_kernel, grad_other, grad_score, call, slot_code(slots));
}

void item_scores(Matrix<float> score, Matrix<const float> user, Matrix<const float> item_embedding,
                 Matrix<const int32_t> item, const Stream& stream) {
  constexpr const char* kName = "item_scores";
  require_shape(kName, "score", score, user.rows, item.cols);
  require_shape(kName, "item", item, user.rows, item.cols);
  require_shape(kName, "item_embedding", item_embedding, item_embedding.rows, user.cols);
  if (score.size() == 0) return;
  launch(kName, tiles_for(score.rows, item.cols * (user.cols + 1)), stream, item_scores_kernel,
         score, user, item_embedding, item);
}

}  // namespace derrd
