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
// batch. Bytes a batch: forward 4 D N S, read, backward twice that and 8 A S for the walk; the
// tables of a student fit into the last-level cache, whose bandwidth is the limit.
//
// Mapping, forward: a tile owns an anchor. Its lanes stride over D, four slots at a time; where
// rows are whole quads, eight lanes take a slot; where they are short too, a lane takes a slot, so
// that no lane is idle and no sum goes over lanes.
//
// Mapping, backward: a tile owns a row of either table, anchors and others in one launch. For the
// other table it walks the occurrences of its row in the samples of all anchors and collects those
// whose anchor is in the batch, in order, in shared memory: cheaper than sorting every batch's
// occurrences, and as deterministic. Then it adds their rows; where rows are short, the lanes
// spread over several rows and four columns each. A row that many slots hold would keep one tile
// busy long after all others: the tiles of its block share it, and their sums are added in order.
//
// Trap: float atomics in the other table's gradient would make the sum depend on the schedule.

#include "kernels/distill/slot_scores.h"

#include "kernels/common/row_lanes.h"
#include "kernels/common/row_terms.h"
#include "kernels/common/shapes.h"
#include "kernels/distill/slot_walk.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr int64_t kMostColumnsOfALane = 32;   // forward: a lane takes a whole row
constexpr int64_t kMostColumnsOfATile = 128;  // backward: a tile takes at least one row

/// score[slot] = anchor . other_embedding[samples[slot]], 0 where there is none: a lane per slot.
__device__ __forceinline__ void score_short_rows(const WarpTile& tile, float* __restrict__ score,
                                                 const float* __restrict__ anchor,
                                                 Matrix<const float> other_embedding,
                                                 const int32_t* __restrict__ samples, int slots) {
  const int quads = elements_in<Quad>(other_embedding.cols);
  for (int slot = static_cast<int>(tile.thread_rank()); slot < slots;
       slot += static_cast<int>(tile.size())) {
    const int32_t sample = samples[slot];
    float sum = 0.0f;
    if (sample >= 0) {
      const Quad* __restrict__ row = elements_of<Quad>(other_embedding.row(sample));
      for (int q = 0; q < quads; ++q) {
        sum += dot(elements_of<Quad>(anchor)[q], row[q]);
      }
    }
    score[slot] = sum;
  }
}

/// score[slot] = anchor . other_embedding[samples[slot]], 0 where there is none: a tile takes four
/// slots at once, eight lanes each.
__device__ __forceinline__ void score_quad_rows(const WarpTile& tile, float* __restrict__ score,
                                                const float* __restrict__ anchor,
                                                Matrix<const float> other_embedding,
                                                const int32_t* __restrict__ samples, int slots) {
  using Lanes = RowLanes<Quad>;
  const Lanes lanes(tile);
  const int quads = elements_in<Quad>(other_embedding.cols);
  for (int first = 0; first < slots; first += Lanes::kRows) {
    const int slot = first + lanes.row;
    const int32_t sample = slot < slots ? samples[slot] : -1;
    float sum = 0.0f;
    if (sample >= 0) {
      const Quad* __restrict__ row = elements_of<Quad>(other_embedding.row(sample));
      for (int q = lanes.rank; q < quads; q += Lanes::kLanes) {
        sum += dot(elements_of<Quad>(anchor)[q], row[q]);
      }
    }
    sum = lanes.sum(tile, sum);
    if (lanes.rank == 0 && slot < slots) score[slot] = sum;
  }
}

/// score[slot] = anchor . other_embedding[samples[slot]], 0 where there is none: a tile per slot,
/// for rows of any length. Four slots share the loads of the anchor's row, and their rows are
/// fetched together.
__device__ __forceinline__ void score_rows(const WarpTile& tile, float* __restrict__ score,
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

/// How a tile takes rows.
enum class Rows {
  kShort,  ///< whole quads, of at most kMostColumnsOfALane columns: a lane a slot
  kQuads,  ///< whole quads: eight lanes a slot
  kAny,    ///< the whole tile a slot
};

/// The one of three kernels that takes rows of `cols` columns in these matrices.
template <class Kernel>
Kernel* choose(int64_t cols, std::initializer_list<const float*> matrices, Kernel* of_short,
               Kernel* of_quads, Kernel* of_any) {
  if (!are_quads(cols, matrices)) return of_any;
  return cols <= kMostColumnsOfALane ? of_short : of_quads;
}

template <Rows kRows>
__device__ __forceinline__ void score_row(const WarpTile& tile, float* score, const float* anchor,
                                          Matrix<const float> other_embedding,
                                          const int32_t* samples, int64_t slots) {
  if constexpr (kRows == Rows::kShort) {
    score_short_rows(tile, score, anchor, other_embedding, samples, static_cast<int>(slots));
  } else if constexpr (kRows == Rows::kQuads) {
    score_quad_rows(tile, score, anchor, other_embedding, samples, static_cast<int>(slots));
  } else {
    score_rows(tile, score, anchor, other_embedding, samples, slots);
  }
}

template <Rows kRows>
__global__ void slot_scores_forward_kernel(Matrix<float> score, SlotScoresCall call) {
  const WarpTile tile = warp_tile();
  const SlotBatch& batch = call.batch;
  const int64_t begin = batch.anchors.batch->begin;
  for (const int64_t n : units_of(tile, batch.anchors.batch->count)) {
    const int64_t row = batch.anchors.rows[begin + n];
    if (batch.position.size > 0 && tile.thread_rank() == 0) {
      batch.position[row] = static_cast<int32_t>(begin + n + 1);
    }
    score_row<kRows>(tile, score.row(n), call.anchor_embedding.row(row), call.other_embedding,
                     batch.samples.row(row), batch.samples.cols);
  }
}

template <Rows kRows>
__global__ void item_scores_kernel(Matrix<float> score, Matrix<const float> user,
                                   Matrix<const float> item_embedding, Matrix<const int32_t> item) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, score.rows)) {
    score_row<kRows>(tile, score.row(r), user.row(r), item_embedding, item.row(r), item.cols);
  }
}

/// Sum of weighted short rows, in the lanes of a tile: each takes four columns of some of the rows.
class RowSum {
 public:
  __device__ RowSum(const WarpTile& tile, int64_t cols)
      : quads_(elements_in<Quad>(cols)),
        rows_(static_cast<int>(tile.size()) / quads_),
        row_(static_cast<int>(tile.thread_rank()) / quads_),
        quad_(static_cast<int>(tile.thread_rank()) % quads_) {}

  /// Adds weight_of(i) * row_of(i) for i in [0, count), but for rows that are null.
  template <class RowOf, class WeightOf>
  __device__ void add(int64_t count, RowOf&& row_of, WeightOf&& weight_of) {
    if (row_ >= rows_) return;
    const auto all = static_cast<int>(count);
    most_ = all > most_ ? all : most_;
    for (int i = row_; i < all; i += rows_) {
      const float* row = row_of(i);
      if (row != nullptr) sum_ += weight_of(i) * elements_of<Quad>(row)[quad_];
    }
  }
  /// Adds the lanes' sums in order; the first lanes get the result, quad by quad.
  __device__ Quad total(const WarpTile& tile) const {
    Quad total = sum_;
    const int added = tile.shfl(most_ < rows_ ? most_ : rows_, 0);
    for (int row = 1; row < added; ++row) {
      const unsigned from = (tile.thread_rank() + static_cast<unsigned>(row * quads_)) % 32;
      const Quad other = {tile.shfl(sum_.x, from), tile.shfl(sum_.y, from), tile.shfl(sum_.z, from),
                          tile.shfl(sum_.w, from)};
      total += other;
    }
    return total;
  }
  /// True for the lanes that get the total.
  __device__ bool has_total() const { return row_ == 0; }
  /// True in these lanes if nothing was added.
  __device__ bool is_empty() const { return most_ == 0; }

 private:
  int quads_, rows_, row_, quad_;
  int most_ = 0;  // terms that one call added
  Quad sum_ = {0.0f, 0.0f, 0.0f, 0.0f};
};

/// Adds a sum to a row of a table.
__device__ __forceinline__ void add_total(const WarpTile& tile, float* out, const RowSum& sum) {
  const Quad total = sum.total(tile);
  if (!sum.has_total() || sum.is_empty()) return;
  elements_of<Quad>(out)[tile.thread_rank()] += total;
}

/// out += sum over the collected slots, in order, of weight_of(slot) source[row_of(slot)]. A GPU
/// keeps the sum of a column in a register. A CPU adds four rows at a time; the last four are
/// filled up with the first of them, weighing nothing.
template <class Sum, class RowOf, class WeightOf>
__device__ __forceinline__ void add_rows(const WarpTile& tile, Sum out, Matrix<const float> source,
                                         Contributions slots, int64_t count, RowOf&& row_of,
                                         WeightOf&& weight_of) {
  if constexpr (kTileLanes > 1) {
    const auto term_of = [&](int i) -> RowTerm {
      return {weight_of(slots[i]), row_of(slots[i]), 0};
    };
    for (int part = 0; part < row_parts<float>(source.cols); ++part) {
      const RowElement<float> row(part * kTileLanes + static_cast<int>(tile.thread_rank()), source);
      const float start = row.exists ? out[row.element] : 0.0f;
      const float sum = sum_terms<false>(tile, start, row, 0, static_cast<int>(count), term_of);
      if (row.exists) out[row.element] = sum;
    }
  } else {
    for (int64_t i = 0; i < count; i += 4) {
      const uint32_t slot0 = slots[i];
      const uint32_t slot1 = slots[i + 1 < count ? i + 1 : i];
      const uint32_t slot2 = slots[i + 2 < count ? i + 2 : i];
      const uint32_t slot3 = slots[i + 3 < count ? i + 3 : i];
      const float* __restrict__ row0 = source.row(row_of(slot0));
      const float* __restrict__ row1 = source.row(row_of(slot1));
      const float* __restrict__ row2 = source.row(row_of(slot2));
      const float* __restrict__ row3 = source.row(row_of(slot3));
      const float weight0 = weight_of(slot0);
      const float weight1 = i + 1 < count ? weight_of(slot1) : 0.0f;
      const float weight2 = i + 2 < count ? weight_of(slot2) : 0.0f;
      const float weight3 = i + 3 < count ? weight_of(slot3) : 0.0f;
      for (int64_t d = 0; d < source.cols; ++d) {
        out[d] += (weight0 * row0[d] + weight1 * row1[d]) + (weight2 * row2[d] + weight3 * row3[d]);
      }
    }
  }
}

/// A block takes an anchor for each of its tiles, then rows of the other table.
__global__ void slot_scores_backward_kernel(Matrix<float> grad_anchor, Matrix<float> grad_other,
                                            Matrix<const float> grad_score, SlotScoresCall call,
                                            SlotCode code) {
  __shared__ SharedArray<uint32_t, kBlockTiles * kChunk> shared_slots;
  __shared__ SharedRowSums shared_sums;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const SlotBatch& batch = call.batch;
  const BatchOccurrences occurrences = batch_occurrences(call.index, code, batch.anchors);
  const int64_t anchors = occurrences.count;
  const int32_t* __restrict__ anchor_rows = batch.anchors.rows.data + batch.anchors.batch->begin;
  const auto add = [&](auto sum, int begin, int end) {
    walk_occurrences(tile, collected, occurrences, begin, end, [&](int64_t contributions) {
      add_rows<SumParameter<decltype(sum)>>(
          tile, sum, call.anchor_embedding, collected, contributions,
          [&](uint32_t occurrence) { return static_cast<int32_t>(code.anchor(occurrence)); },
          [&](uint32_t occurrence) {
            return grad_score.row(occurrences.position(occurrence))[code.slot(occurrence)];
          });
    });
  };
  const int64_t anchor_groups = row_groups<1>(anchors);
  for (const int64_t group : units_of(block, anchor_groups + other_groups(grad_other.rows))) {
    if (group >= anchor_groups) {
      add_occurrences(block, shared_sums, grad_other, call.index, group - anchor_groups, add);
      continue;
    }
    const int64_t n = group * tile.meta_group_size() + tile.meta_group_rank();
    if (n >= anchors) continue;
    const int64_t row = anchor_rows[n];
    const int32_t* __restrict__ samples = batch.samples.row(row);
    const float* __restrict__ weights = grad_score.row(n);
    walk_slots(tile, collected, samples, batch.samples.cols, [&](int64_t contributions) {
      add_rows<float* __restrict__>(
          tile, grad_anchor.row(row), call.other_embedding, collected, contributions,
          [&](uint32_t slot) { return samples[slot]; },
          [&](uint32_t slot) { return weights[slot]; });
    });
  }
}

/// Gradients of short rows: a block takes as many anchors, or rows of the other table, as it has
/// tiles.
__global__ void slot_scores_backward_short_kernel(Matrix<float> grad_anchor,
                                                  Matrix<float> grad_other,
                                                  Matrix<const float> grad_score,
                                                  SlotScoresCall call, SlotCode code) {
  __shared__ SharedArray<uint32_t, kBlockTiles * kChunk> shared_slots;
  __shared__ SharedArray<Quad, kBlockTiles * 32> shared_totals;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const int64_t tiles = tile.meta_group_size();
  const int64_t rank = tile.meta_group_rank();
  const Contributions collected = part_of(tile, shared_slots);
  const SlotBatch& batch = call.batch;
  const int64_t cols = grad_anchor.cols;
  const BatchOccurrences occurrences = batch_occurrences(call.index, code, batch.anchors);
  const int64_t anchors = occurrences.count;
  const int32_t* __restrict__ anchor_rows = batch.anchors.rows.data + batch.anchors.batch->begin;
  const int64_t anchor_groups = row_groups<1>(anchors);
  const int64_t groups = anchor_groups + other_groups(grad_other.rows);

  const auto sum_occurrences = [&](int begin, int end) {
    RowSum sum(tile, cols);
    walk_occurrences(tile, collected, occurrences, begin, end, [&](int64_t contributions) {
      sum.add(
          contributions,
          [&](int i) { return call.anchor_embedding.row(code.anchor(collected[i])); },
          [&](int i) {
            const uint32_t occurrence = collected[i];
            return grad_score.row(occurrences.position(occurrence))[code.slot(occurrence)];
          });
    });
    return sum;
  };

  const auto own = [&](int row, int begin, int end) {
    add_total(tile, grad_other.row(row), sum_occurrences(begin, end));
  };
  const auto part = [&](int, int begin, int end) {
    shared_totals[rank * 32 + tile.thread_rank()] = sum_occurrences(begin, end).total(tile);
  };
  const auto finish = [&](int row) {
    if (!RowSum(tile, cols).has_total()) return;
    Quad& to = elements_of<Quad>(grad_other.row(row))[tile.thread_rank()];
    Quad total = to;
    for (int64_t t = 0; t < tiles; ++t) total += shared_totals[t * 32 + tile.thread_rank()];
    to = total;
  };

  for (const int64_t group : units_of(block, groups)) {
    if (group < anchor_groups) {
      const int64_t n = group * tiles + rank;
      if (n >= anchors) continue;
      const int64_t row = anchor_rows[n];
      const int32_t* __restrict__ samples = batch.samples.row(row);
      const float* __restrict__ weights = grad_score.row(n);
      RowSum sum(tile, cols);
      const auto row_of = [&](int slot) -> const float* {
        return samples[slot] < 0 ? nullptr : call.other_embedding.row(samples[slot]);
      };
      sum.add(batch.samples.cols, row_of, [&](int slot) { return weights[slot]; });
      add_total(tile, grad_anchor.row(row), sum);
      continue;
    }
    share_rows(block, call.index.offsets, other_rows(grad_other.rows, group - anchor_groups),
               kSharedOccurrences, own, part, finish);
  }
}

}  // namespace

void slot_scores_forward(Matrix<float> score, const SlotScoresCall& call, const Stream& stream) {
  constexpr const char* kName = "slot_scores_forward";
  const SlotBatch& batch = call.batch;
  const int64_t slots = batch.samples.cols;
  const int64_t cols = call.other_embedding.cols;
  require_shape(kName, "anchor_embedding", call.anchor_embedding, batch.samples.rows, cols);
  require_shape(kName, "score", score, batch.anchors.capacity, slots);
  if (batch.position.size > 0) {
    require_size(kName, "position", batch.position, batch.samples.rows);
  }
  if (batch.anchors.capacity == 0) return;
  const auto kernel =
      choose(cols, {call.anchor_embedding.data, call.other_embedding.data},
             slot_scores_forward_kernel<Rows::kShort>, slot_scores_forward_kernel<Rows::kQuads>,
             slot_scores_forward_kernel<Rows::kAny>);
  launch(kName, tiles_for(score.rows, slots * (cols + 1)), stream, kernel, score, call);
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
  const int64_t units = grad_score.rows + others;
  const int64_t walked = batch.samples.size() + 2 * grad_score.size() * cols;
  const bool is_short = cols <= kMostColumnsOfATile &&
                        are_quads(cols, {call.anchor_embedding.data, call.other_embedding.data,
                                         grad_anchor.data, grad_other.data});
  launch(kName, tiles_for(units, walked / units + 1), stream,
         is_short ? slot_scores_backward_short_kernel : slot_scores_backward_kernel, grad_anchor,
         grad_other, grad_score, call, slot_code(slots));
}

void item_scores(Matrix<float> score, Matrix<const float> user, Matrix<const float> item_embedding,
                 Matrix<const int32_t> item, const Stream& stream) {
  constexpr const char* kName = "item_scores";
  require_shape(kName, "score", score, user.rows, item.cols);
  require_shape(kName, "item", item, user.rows, item.cols);
  require_shape(kName, "item_embedding", item_embedding, item_embedding.rows, user.cols);
  if (score.size() == 0) return;
  const auto kernel =
      choose(user.cols, {user.data, item_embedding.data}, item_scores_kernel<Rows::kShort>,
             item_scores_kernel<Rows::kQuads>, item_scores_kernel<Rows::kAny>);
  launch(kName, tiles_for(score.rows, item.cols * (user.cols + 1)), stream, kernel, score, user,
         item_embedding, item);
}

}  // namespace derrd
