// The perceptron's part of a ranking loss over sampled rows: what NeuMF adds to the inner products
// of slot_scores.
//
//   forward    h = relu(W_a a_n + W_b b_sample + b_1), further layers, score += w . h + b
//   backward   dL/dh = g w                        dL/dw += sum over slots of g h
//              dL/d(W_a a_n) = sum over the slots p of anchor n of dL/dh_p where h_p > 0
//              dL/d(W_b b_r) = the same sum over the batch's slots that hold r
//
// This file has the two ends, per slot and per row. neumf_first_layer computes the first layer's
// sum, linear the further layers, and gemm the products W_a a and W_b b of whole tables.
//
// Shapes: h [N S, H] for N anchors of the batch with S slots each, score and g [N, S].
// Mapping: a tile per anchor, its slots in order, four at once where h is scored and its rows are
// whole quads; for the other table a tile per row, or a block for a popular one, which walk the
// row's occurrences as slot_scores does. Lanes stride over H.
// dL/dw is summed per anchor first and over the anchors then, a block per strip of columns.
// Bytes a slot: 4 H forward; backward 8 H for the output layer and 16 H for the two sums: bound by
// the last-level cache, h being 8 MB for 1024 anchors of 80 slots at H = 25.
//
// Trap: an empty slot's h is 0, but further layers make relu(b) of it. The output layer skips it,
// forward and backward, so it has no effect.

#include "kernels/distill/slot_hidden.h"

#include "kernels/common/column_sums.h"
#include "kernels/common/row_lanes.h"
#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void locate_slots_kernel(SlotPairs out, SlotBatch batch) {
  const WarpTile tile = warp_tile();
  const BatchCursor anchors = *batch.anchors.batch;
  const int64_t slots = batch.samples.cols;
  for (const int64_t n : units_of(tile, batch.anchors.capacity)) {
    if (n == 0 && tile.thread_rank() == 0) {
      *out.active = static_cast<int32_t>(anchors.count * slots);
    }
    if (n >= anchors.count) continue;
    const int32_t* __restrict__ samples = batch.samples.row(batch.anchors.rows[anchors.begin + n]);
    for (int64_t s = tile.thread_rank(); s < slots; s += tile.size()) {
      out.anchor_positions[n * slots + s] = static_cast<int32_t>(n);
      out.other_rows[n * slots + s] = samples[s];
    }
  }
}

template <class Element>
__global__ void slot_output_forward_kernel(Matrix<float> score, SlotOutputCall call) {
  using Lanes = RowLanes<Element>;
  const WarpTile tile = warp_tile();
  const Lanes lanes(tile);
  const SlotBatch& batch = call.batch;
  const BatchCursor anchors = *batch.anchors.batch;
  const auto slots = static_cast<int>(score.cols);
  const int elements = elements_in<Element>(call.hidden.cols);
  const Element* __restrict__ w = elements_of<Element>(call.weight.data);
  for (const int64_t n : units_of(tile, anchors.count)) {
    const int32_t* __restrict__ samples = batch.samples.row(batch.anchors.rows[anchors.begin + n]);
    float* __restrict__ out = score.row(n);
    for (int first = 0; first < slots; first += Lanes::kRows) {
      const int slot = first + lanes.row;
      const bool counts = slot < slots && samples[slot] >= 0;
      float sum = 0.0f;
      if (counts) {
        const Element* __restrict__ h =
            elements_of<Element>(call.hidden.row(n * score.cols + slot));
        for (int k = lanes.rank; k < elements; k += Lanes::kLanes) sum += dot(w[k], h[k]);
      }
      sum = lanes.sum(tile, sum);
      if (counts && lanes.rank == 0) out[slot] += sum + call.bias[0];
    }
  }
}

__global__ void slot_output_backward_kernel(Matrix<float> grad_hidden, Matrix<float> sums,
                                            Matrix<const float> grad_score, SlotOutputCall call) {
  const WarpTile tile = warp_tile();
  const SlotBatch& batch = call.batch;
  const BatchCursor anchors = *batch.anchors.batch;
  const int64_t cols = call.hidden.cols;
  const int64_t slots = grad_score.cols;
  const float* __restrict__ w = call.weight.data;
  for (const int64_t n : units_of(tile, anchors.count)) {
    const int32_t* __restrict__ samples = batch.samples.row(batch.anchors.rows[anchors.begin + n]);
    const float* __restrict__ grad = grad_score.row(n);
    float* __restrict__ sum = sums.row(n);
    const auto gradient = [&](int64_t slot) { return samples[slot] >= 0 ? grad[slot] : 0.0f; };
    float bias_sum = 0.0f;
    if constexpr (kTileLanes == 1) {
      fill_row(tile, sum, cols, 0.0f);
      for (int64_t slot = 0; slot < slots; ++slot) {
        const float g = gradient(slot);
        const float* __restrict__ h = call.hidden.row(n * slots + slot);
        float* __restrict__ grad_h = grad_hidden.row(n * slots + slot);
        for (int64_t k = 0; k < cols; ++k) {
          grad_h[k] = g * w[k];
          sum[k] += g * h[k];
        }
        bias_sum += g;
      }
    } else {
      for (int64_t k = tile.thread_rank(); k < cols; k += tile.size()) {
        float total = 0.0f;
        for (int64_t slot = 0; slot < slots; ++slot) {
          const float g = gradient(slot);
          grad_hidden.row(n * slots + slot)[k] = g * w[k];
          total += g * call.hidden.row(n * slots + slot)[k];
        }
        sum[k] = total;
      }
      for (int64_t slot = tile.thread_rank(); slot < slots; slot += tile.size()) {
        bias_sum += gradient(slot);
      }
      bias_sum = cg::reduce(tile, bias_sum, cg::plus<float>());
    }
    if (tile.thread_rank() == 0) sum[cols] = bias_sum;
  }
}

__global__ void slot_output_backward_weights_kernel(Vector<float> grad_weight,
                                                    Vector<float> grad_bias,
                                                    Matrix<const float> sums, SlotBatch batch) {
  __shared__ ColumnPartials partials;
  const auto block = cg::this_thread_block();
  const int64_t count = batch.anchors.batch->count;
  const int64_t cols = grad_weight.size;
  const auto accumulate = [&](Vector<float> target, int64_t first, int64_t strip) {
    accumulate_columns(block, partials, target, {0, count}, strip, [&](int64_t n) {
      const float* __restrict__ row = sums.row(n) + first;
      return [=](int64_t c) { return row[c]; };
    });
  };
  const int64_t strips = column_strips(cols);
  for (const int64_t unit : units_of(block, strips + 1)) {
    if (unit < strips) {
      accumulate(grad_weight, 0, unit);
    } else {
      accumulate(grad_bias, cols, 0);
    }
  }
}

/// sum += grad_hidden where hidden > 0, over the rows row_of(i) for i < count, in order. A GPU
/// keeps the sum of a column in a register; a CPU adds whole rows.
template <class Sum, class RowOf>
__device__ __forceinline__ void add_masked(const WarpTile& tile, Sum sum,
                                           Matrix<const float> grad_hidden,
                                           Matrix<const float> hidden, int64_t count,
                                           RowOf row_of) {
  const auto cols = static_cast<int>(hidden.cols);
  const auto rows = static_cast<int>(count);
  if constexpr (kTileLanes == 1) {
    for (int i = 0; i < rows; ++i) {
      const int64_t row = row_of(i);
      const float* __restrict__ grad = grad_hidden.row(row);
      const float* __restrict__ h = hidden.row(row);
      for (int k = 0; k < cols; ++k) sum[k] += h[k] > 0.0f ? grad[k] : 0.0f;
    }
  } else {
    for (int k = static_cast<int>(tile.thread_rank()); k < cols; k += kTileLanes) {
      float total = sum[k];
      for (int i = 0; i < rows; ++i) {
        const int64_t row = row_of(i);
        total += hidden.row(row)[k] > 0.0f ? grad_hidden.row(row)[k] : 0.0f;
      }
      sum[k] = total;
    }
  }
}

__global__ void slot_hidden_backward_anchors_kernel(Matrix<float> grad_part,
                                                    Matrix<const float> grad_hidden,
                                                    SlotHiddenCall call) {
  const WarpTile tile = warp_tile();
  const int64_t count = call.batch.anchors.batch->count;
  const int64_t slots = call.batch.samples.cols;
  const int64_t cols = grad_part.cols;
  for (const int64_t n : units_of(tile, grad_part.rows)) {
    float* __restrict__ sum = grad_part.row(n);
    fill_row(tile, sum, cols, 0.0f);
    if (n >= count) continue;
    add_masked<float* __restrict__>(tile, sum, grad_hidden, call.hidden, slots,
                                    [&](int slot) { return n * slots + slot; });
  }
}

__global__ void slot_hidden_backward_others_kernel(Matrix<float> grad_part,
                                                   Matrix<const float> grad_hidden,
                                                   SlotHiddenCall call, SlotCode code) {
  __shared__ SharedArray<uint32_t, kBlockTiles * kChunk> shared_slots;
  __shared__ SharedRowSums shared_sums;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const BatchOccurrences occurrences = batch_occurrences(call.index, code, call.batch.anchors);
  const auto slots = static_cast<uint32_t>(call.batch.samples.cols);
  const int64_t cols = grad_part.cols;
  const auto row_of = [&](uint32_t occurrence) {
    return occurrences.position(occurrence) * slots + code.slot(occurrence);
  };
  const auto add = [&](auto sum, int begin, int end) {
    walk_occurrences(tile, collected, occurrences, begin, end, [&](int64_t contributions) {
      if constexpr (kTileLanes > 1) {  // each lane finds the rows of some, for all
        for (int64_t i = tile.thread_rank(); i < contributions; i += tile.size()) {
          collected[i] = row_of(collected[i]);
        }
        tile.sync();
      }
      add_masked<SumParameter<decltype(sum)>>(
          tile, sum, grad_hidden, call.hidden, contributions,
          [&](int i) { return kTileLanes > 1 ? collected[i] : row_of(collected[i]); });
    });
  };
  for (const int64_t group : units_of(block, other_groups(grad_part.rows))) {
    const int row = other_rows(grad_part.rows, group).row(static_cast<int>(tile.meta_group_rank()));
    if (row < grad_part.rows) fill_row(tile, grad_part.row(row), cols, 0.0f);
    add_occurrences(block, shared_sums, grad_part, call.index, group, add);
  }
}

}  // namespace

void locate_slots(SlotPairs out, SlotBatch batch, const Stream& stream) {
  const int64_t pairs = batch.anchors.capacity * batch.samples.cols;
  require_size("locate_slots", "anchor_positions", out.anchor_positions, pairs);
  require_size("locate_slots", "other_rows", out.other_rows, pairs);
  if (batch.anchors.capacity == 0) return;
  launch("locate_slots", tiles_for(batch.anchors.capacity, batch.samples.cols), stream,
         locate_slots_kernel, out, batch);
}

void slot_output_forward(Matrix<float> score, const SlotOutputCall& call, const Stream& stream) {
  constexpr const char* kName = "slot_output_forward";
  const int64_t cols = call.weight.size;
  require_shape(kName, "score", score, call.batch.anchors.capacity, call.batch.samples.cols);
  require_shape(kName, "hidden", call.hidden, score.size(), cols);
  require_size(kName, "bias", call.bias, 1);
  if (score.size() == 0) return;
  const bool quads = are_quads(cols, {call.hidden.data, call.weight.data});
  launch(kName, tiles_for(score.rows, score.cols * (cols + 1)), stream,
         quads ? slot_output_forward_kernel<Quad> : slot_output_forward_kernel<float>, score, call);
}

void slot_output_backward(const SlotOutputGradients& gradients, Matrix<const float> grad_score,
                          const SlotOutputCall& call, const Stream& stream) {
  constexpr const char* kName = "slot_output_backward";
  const int64_t anchors = call.batch.anchors.capacity;
  const int64_t cols = call.weight.size;
  require_shape(kName, "grad_score", grad_score, anchors, call.batch.samples.cols);
  require_shape(kName, "hidden", call.hidden, grad_score.size(), cols);
  require_shape(kName, "gradients.hidden", gradients.hidden, grad_score.size(), cols);
  require_shape(kName, "gradients.sums", gradients.sums, anchors, cols + 1);
  require_size(kName, "gradients.weight", gradients.weight, cols);
  require_size(kName, "gradients.bias", gradients.bias, 1);
  if (grad_score.size() == 0) return;
  launch(kName, tiles_for(anchors, grad_score.cols * (cols + 1)), stream,
         slot_output_backward_kernel, gradients.hidden, gradients.sums, grad_score, call);
  launch("slot_output_backward_weights",
         blocks_for(column_strips(cols) + 1, anchors * kStripColumns), stream,
         slot_output_backward_weights_kernel, gradients.weight, gradients.bias, gradients.sums,
         call.batch);
}

void slot_hidden_backward(Matrix<float> grad_anchor_part, Matrix<float> grad_other_part,
                          Matrix<const float> grad_hidden, const SlotHiddenCall& call,
                          const Stream& stream) {
  constexpr const char* kName = "slot_hidden_backward";
  const SlotBatch& batch = call.batch;
  const int64_t others = grad_other_part.rows;
  const int64_t slots = batch.samples.cols;
  const int64_t pairs = batch.anchors.capacity * slots;
  const int64_t cols = call.hidden.cols;
  require_shape(kName, "grad_anchor_part", grad_anchor_part, batch.anchors.capacity, cols);
  require_shape(kName, "grad_other_part", grad_other_part, others, cols);
  require_shape(kName, "hidden", call.hidden, pairs, cols);
  require_shape(kName, "grad_hidden", grad_hidden, pairs, cols);
  require_index(kName, call.index, others, batch.samples);
  if (cols == 0) return;
  if (grad_anchor_part.rows > 0) {
    launch("slot_hidden_backward_anchors", tiles_for(grad_anchor_part.rows, slots * cols), stream,
           slot_hidden_backward_anchors_kernel, grad_anchor_part, grad_hidden, call);
  }
  if (others > 0) {
    const int64_t walked = batch.samples.size() / others + 1;
    const int64_t added = grad_hidden.size() / others + cols;
    launch("slot_hidden_backward_others", tiles_for(others, walked + added), stream,
           slot_hidden_backward_others_kernel, grad_other_part, grad_hidden, call,
           slot_code(slots));
  }
}

}  // namespace derrd
