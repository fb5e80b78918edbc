// Relaxed Ranking Distillation: match the order of the interesting items, and put them above the
// uninteresting ones whose order is ignored (DE-RRD, equations 9 and 10).
//
// For a user with scores r_1..r_K (interesting, in the teacher's order) and s_1..s_L:
//   z_k       = log( sum_{i >= k} e^{r_i} + sum_j e^{s_j} )
//   loss      = sum_k (z_k - r_k)
//   dL/dr_i   = sum_{k <= i} e^{r_i - z_k} - 1          dL/ds_j = sum_k e^{s_j - z_k}
//
// The trap: with one common maximum, a suffix of low scores underflows to log 0. The cure: each
// suffix keeps its own maximum M_k = max(r_k, M_{k+1}), from M_{K+1} = max_j s_j on, and its sum
// relative to it, E_k in [1, K + L]:
//   x_k = e^{-|r_k - M_{k+1}|}
//   r_k rises above M_{k+1}:  decay f_k = x_k, term t_k = 1;      else:  f_k = 1, t_k = x_k
//   E_k = E_{k+1} f_k + t_k,   z_k = M_k + log E_k
//   W_k = W_{k-1} f_{k-1} + 1 / E_k = sum_{m <= k} e^{M_k - z_m}
//   dL/dr_k = t_k W_k - 1,     dL/ds_j = e^{s_j - M_{K+1}} W_K f_K
// f_k = e^{M_{k+1} - M_k} serves both directions, so every score costs one exponential in any
// arrangement, every exponent is <= 0, and what underflows is below 1e-38 of the sum that it joins.
// E and W are linear recurrences: scans over affine maps, whose composition does not commute, hence
// ordered_inclusive_scan. The logarithms are taken of products of eight sums (at most
// 512^8 = 5e21).
//
// Shapes: samples [U, K + L], loss [B'], grad_score [B', K + L], embeddings [U, D] and [I, D], with
// B' distinct users in the batch. A tile owns a user: its lanes stride over D in the dot products,
// then over the slots. Backward, a tile owns a row of either table: it collects the rows that
// contribute, in order, in shared memory, then adds them four at a time. For items it walks their
// occurrences in the samples of all users and keeps those whose user is in the batch: cheaper than
// sorting every batch's occurrences, and as deterministic.
// Bytes a batch: forward 4 D B'(K + L), read, backward twice that and 8 U (K + L) for the walk; the
// tables of a student fit into the last-level cache, whose bandwidth is the limit.

#include "kernels/relaxed_ranking.h"

#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/elementary.h"
#include "kernels/platform/execution.h"
#include "kernels/ranking_slots.h"
#include "kernels/shapes.h"

namespace derrd {

namespace {

constexpr int64_t kTiles = 8;                                    // of a block
constexpr float kAbsent = std::numeric_limits<float>::lowest();  // score of an empty slot

/// A tile's part of an array in shared memory.
template <class T, int kSize>
struct TilePart {
  SharedArray<T, kSize>& array;
  int64_t begin;
  __device__ decltype(auto) operator[](int64_t i) const { return array[begin + i]; }
};
/// The caller's part of an array that all tiles of a block share.
template <class T, int kSize>
__device__ __forceinline__ TilePart<T, kSize> part_of(const WarpTile& tile,
                                                      SharedArray<T, kSize>& array) {
  return {array, tile.meta_group_rank() * (kSize / kTiles)};
}

/// x -> x * scale + add.
struct AffineMap {
  float scale;
  float add;
};
/// `first`, then `second`.
struct Compose {
  __device__ AffineMap operator()(AffineMap first, AffineMap second) const {
    return {first.scale * second.scale, first.add * second.scale + second.add};
  }
};

/// Where a slot's score is kept: the interesting ones backwards, so that suffixes become prefixes.
__device__ __forceinline__ int64_t place_of(int64_t slot, int64_t interesting) {
  return slot < interesting ? interesting - 1 - slot : slot;
}

/// Scores of all slots, four at a time: they share the loads of the user's row, and their item rows
/// are fetched together.
template <class Scores>
__device__ __forceinline__ void score_slots(const WarpTile& tile, Scores score,
                                            const int32_t* __restrict__ samples, int64_t slots,
                                            int64_t interesting, const float* __restrict__ user,
                                            Matrix<const float> item_embedding) {
  const int64_t cols = item_embedding.cols;
  const auto row_of = [&](int64_t slot) {
    const int32_t item = slot < slots ? samples[slot] : -1;
    return item >= 0 ? item_embedding.row(item) : user;
  };
  const auto keep = [&](int64_t slot, float value) {
    if (slot < slots && tile.thread_rank() == 0) {
      score[place_of(slot, interesting)] = samples[slot] >= 0 ? value : kAbsent;
    }
  };
  for (int64_t slot = 0; slot < slots; slot += 4) {
    const float* row0 = row_of(slot);
    const float* row1 = row_of(slot + 1);
    const float* row2 = row_of(slot + 2);
    const float* row3 = row_of(slot + 3);
    float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int64_t d = tile.thread_rank(); d < cols; d += tile.size()) {
      sum0 += user[d] * row0[d];
      sum1 += user[d] * row1[d];
      sum2 += user[d] * row2[d];
      sum3 += user[d] * row3[d];
    }
    keep(slot, cg::reduce(tile, sum0, cg::plus<float>()));
    keep(slot + 1, cg::reduce(tile, sum1, cg::plus<float>()));
    keep(slot + 2, cg::reduce(tile, sum2, cg::plus<float>()));
    keep(slot + 3, cg::reduce(tile, sum3, cg::plus<float>()));
  }
}

__global__ void relaxed_ranking_forward_kernel(Vector<float> loss, Matrix<float> grad_score,
                                               Matrix<const float> user_embedding,
                                               Matrix<const float> item_embedding,
                                               RelaxedRankingBatch batch, float scale,
                                               UserReduction reduction) {
  __shared__ SharedArray<float, kTiles * kMaxRankingSamples> shared_score;
  __shared__ SharedArray<float, kTiles*(kMaxRankingInteresting + 1)> shared_peak;
  __shared__ SharedArray<float, kTiles * kMaxRankingInteresting> shared_decay;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const auto score = part_of(tile, shared_score);
  const auto peak = part_of(tile, shared_peak);
  const auto decay = part_of(tile, shared_decay);
  const int64_t slots = batch.samples.cols;
  const int64_t interesting = batch.interesting;
  const int64_t begin = batch.users.batch->begin;
  const int64_t count = batch.users.batch->count;
  const float share =
      reduction == UserReduction::kMean && count > 0 ? 1.0f / static_cast<float>(count) : 1.0f;
  const float factor = scale * share;

  for (const int64_t unit : units_of(tile, loss.size)) {
    if (unit >= count) {  // the same for all lanes
      if (lane == 0) loss[unit] = 0.0f;
      continue;
    }
    const int64_t row = batch.users.rows[begin + unit];
    const int32_t* __restrict__ samples = batch.samples.row(row);
    float* __restrict__ grad = grad_score.row(unit);
    score_slots(tile, score, samples, slots, interesting, user_embedding.row(row), item_embedding);
    tile.sync();

    // M: the maximum of the uninteresting scores, then the running one. peak[p] is that before p.
    float maximum = kAbsent;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      maximum = score[j] > maximum ? score[j] : maximum;
    }
    maximum = cg::reduce(tile, maximum, cg::greater<float>());
    const float uninteresting_peak = maximum;
    if (lane == 0) peak[0] = maximum;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t p = base + lane;
      const float own = p < interesting ? score[p] : kAbsent;
      const float before = cg::inclusive_scan(tile, own, cg::greater<float>());
      const float running = before > maximum ? before : maximum;
      if (p < interesting) peak[p + 1] = running;
      maximum = tile.shfl(running, tile.size() - 1);
    }
    tile.sync();

    // t (in place of the scores), f, and the part of the loss that is M_k - r_k.
    float lane_loss = 0.0f;
    for (int64_t p = lane; p < interesting; p += lanes) {
      const float gap = score[p] - peak[p];
      const bool present = score[p] != kAbsent;
      const bool rises = gap > 0.0f;
      const float x = exp_vectorized(rises ? -gap : gap);
      lane_loss += present & !rises ? -gap : 0.0f;
      decay[p] = present & rises ? x : 1.0f;
      score[p] = present ? (rises ? 1.0f : x) : 0.0f;
    }
    float sum = 0.0f;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      const float own = score[j];
      const float present = own != kAbsent ? 1.0f : 0.0f;
      const float term = exp_vectorized(own - uninteresting_peak) * present;
      score[j] = term;
      sum += term;
    }
    sum = cg::reduce(tile, sum, cg::plus<float>());
    tile.sync();

    // E, in place of the maxima.
    const auto total = peak;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t p = base + lane;
      const AffineMap own = p < interesting ? AffineMap{decay[p], score[p]} : AffineMap{1.0f, 0.0f};
      const AffineMap steps = ordered_inclusive_scan(tile, own, Compose());
      const float running = sum * steps.scale + steps.add;
      if (p < interesting) total[p] = running;
      sum = tile.shfl(running, tile.size() - 1);
    }

    // log E, then 1 / E in its place; an empty slot has no z_k. Each lane reads what it wrote.
    const auto present_at = [&](int64_t p) { return samples[interesting - 1 - p] >= 0; };
    constexpr int64_t kFactors = 8;
    for (int64_t base = lane; base < interesting; base += kFactors * lanes) {
      float product = 1.0f;
      for (int64_t n = 0; n < kFactors; ++n) {
        const int64_t p = base + n * lanes;
        if (p < interesting && present_at(p)) product *= total[p];
      }
      lane_loss += logf(product);
    }
    for (int64_t p = lane; p < interesting; p += lanes) {
      total[p] = present_at(p) ? 1.0f / total[p] : 0.0f;
    }
    const float user_loss = cg::reduce(tile, lane_loss, cg::plus<float>());
    if (lane == 0) loss[unit] = user_loss * share;
    tile.sync();

    // W, from the first interesting item to the last, and the gradients.
    float weight = 0.0f;
    for (int64_t base = 0; base < interesting; base += lanes) {
      const int64_t k = base + lane;
      const int64_t p = interesting - 1 - k;
      const AffineMap own = k < interesting ? AffineMap{k == 0 ? 1.0f : decay[p + 1], total[p]}
                                            : AffineMap{1.0f, 0.0f};
      const AffineMap steps = ordered_inclusive_scan(tile, own, Compose());
      const float running = weight * steps.scale + steps.add;
      if (k < interesting) grad[k] = samples[k] >= 0 ? (score[p] * running - 1.0f) * factor : 0.0f;
      weight = tile.shfl(running, tile.size() - 1);
    }
    const float weight_scale = interesting > 0 ? weight * decay[0] * factor : 0.0f;
    for (int64_t j = interesting + lane; j < slots; j += lanes) grad[j] = score[j] * weight_scale;
    tile.sync();  // before the next user's scores
  }
}

/// Slots that contribute to a row, collected by a tile.
constexpr int64_t kChunk = 128;  // a multiple of the lanes
using Contributions = TilePart<uint32_t, kTiles * kChunk>;

/// Appends the slots of the lanes that contribute, in the order of lanes, behind `count`; gives the
/// new count. The other lanes write behind them, where the next slots will stand: every lane
/// writes, which spares the CPU a branch that it could not predict.
__device__ __forceinline__ int64_t append(const WarpTile& tile, Contributions slots, int64_t count,
                                          bool contributes, uint32_t slot) {
  const int ahead = cg::exclusive_scan(tile, contributes ? 1 : 0);
  const int all = cg::reduce(tile, contributes ? 1 : 0, cg::plus<int>());
  const int64_t rank = tile.thread_rank();
  slots[count + (contributes ? ahead : all + rank - ahead)] = slot;
  tile.sync();
  return count + all;
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

__global__ void relaxed_ranking_backward_users_kernel(Matrix<float> grad_user,
                                                      Matrix<const float> grad_score,
                                                      Matrix<const float> item_embedding,
                                                      RelaxedRankingBatch batch) {
  __shared__ SharedArray<uint32_t, kTiles * kChunk> shared_slots;
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const int64_t slots = batch.samples.cols;
  const int64_t begin = batch.users.batch->begin;
  const int64_t count = batch.users.batch->count;
  for (const int64_t unit : units_of(tile, count)) {
    const int64_t row = batch.users.rows[begin + unit];
    const int32_t* __restrict__ samples = batch.samples.row(row);
    const float* __restrict__ weights = grad_score.row(unit);
    for (int64_t chunk = 0; chunk < slots; chunk += kChunk) {
      const int64_t end = slots < chunk + kChunk ? slots : chunk + kChunk;
      int64_t contributions = 0;
      for (int64_t base = chunk; base < end; base += tile.size()) {
        const int64_t slot = base + tile.thread_rank();
        const bool present = slot < end && samples[slot] >= 0;
        contributions =
            append(tile, collected, contributions, present, static_cast<uint32_t>(slot));
      }
      add_rows(
          tile, grad_user.row(row), grad_user.cols, collected, contributions,
          [&](uint32_t slot) { return item_embedding.row(samples[slot]); },
          [&](uint32_t slot) { return weights[slot]; });
      tile.sync();  // before the next slots
    }
  }
}

__global__ void relaxed_ranking_backward_items_kernel(
    Matrix<float> grad_item, Matrix<const float> grad_score, Matrix<const float> user_embedding,
    RelaxedRankingBatch batch, Vector<const int32_t> item_offsets,
    Vector<const uint32_t> occurrences, Vector<const int32_t> user_position, SlotCode code) {
  __shared__ SharedArray<uint32_t, kTiles * kChunk> shared_slots;
  const WarpTile tile = warp_tile();
  const Contributions collected = part_of(tile, shared_slots);
  const int64_t begin = batch.users.batch->begin;
  const auto count = static_cast<uint64_t>(batch.users.batch->count);
  // A user outside the batch stands at -1, which is no position either as an unsigned number.
  const auto position_of = [&](uint32_t occurrence) {
    return static_cast<uint64_t>(user_position[code.user(occurrence)] - begin);
  };
  for (const int64_t item : units_of(tile, grad_item.rows)) {
    const int64_t last = item_offsets[item + 1];
    for (int64_t chunk = item_offsets[item]; chunk < last; chunk += kChunk) {
      const int64_t end = last < chunk + kChunk ? last : chunk + kChunk;
      int64_t contributions = 0;
      for (int64_t base = chunk; base < end; base += tile.size()) {
        const int64_t i = base + tile.thread_rank();
        const uint32_t occurrence = i < end ? occurrences[i] : 0;
        const bool in_batch = (i < end) & (position_of(occurrence) < count);
        contributions = append(tile, collected, contributions, in_batch, occurrence);
      }
      add_rows(
          tile, grad_item.row(item), grad_item.cols, collected, contributions,
          [&](uint32_t occurrence) { return user_embedding.row(code.user(occurrence)); },
          [&](uint32_t occurrence) {
            return grad_score.row(position_of(occurrence))[code.slot(occurrence)];
          });
      tile.sync();  // before the next slots
    }
  }
}

void check_shapes(const char* operation, Matrix<const float> grad_score,
                  Matrix<const float> user_embedding, Matrix<const float> item_embedding,
                  const RelaxedRankingBatch& batch) {
  const int64_t slots = batch.samples.cols;
  if (batch.interesting < 0 || batch.interesting > slots || slots > kMaxRankingSamples ||
      batch.interesting > kMaxRankingInteresting) {
    throw std::invalid_argument(std::string(operation) + ": a user has " +
                                std::to_string(batch.interesting) + " interesting items of " +
                                std::to_string(slots) + "; at most " +
                                std::to_string(kMaxRankingInteresting) + " of " +
                                std::to_string(kMaxRankingSamples) + " are possible");
  }
  require_shape(operation, "samples", batch.samples, user_embedding.rows, slots);
  require_shape(operation, "item embedding", item_embedding, item_embedding.rows,
                user_embedding.cols);
  require_shape(operation, "gradient of scores", grad_score, batch.users.capacity, slots);
}

}  // namespace

void relaxed_ranking_forward(Vector<float> loss, Matrix<float> grad_score,
                             Matrix<const float> user_embedding, Matrix<const float> item_embedding,
                             RelaxedRankingBatch batch, float scale, UserReduction reduction,
                             const Stream& stream) {
  constexpr const char* kName = "relaxed_ranking_forward";
  check_shapes(kName, grad_score, user_embedding, item_embedding, batch);
  require_size(kName, "loss", loss, batch.users.capacity);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerScore = 30;
  const int64_t elements = batch.samples.cols * (item_embedding.cols + kOperationsPerScore);
  launch(kName, tiles_for(loss.size, elements), stream, relaxed_ranking_forward_kernel, loss,
         grad_score, user_embedding, item_embedding, batch, scale, reduction);
}

void relaxed_ranking_backward(Matrix<float> grad_user, Matrix<float> grad_item,
                              Matrix<const float> grad_score, Matrix<const float> user_embedding,
                              Matrix<const float> item_embedding, RelaxedRankingBatch batch,
                              Vector<const int32_t> item_offsets,
                              Vector<const uint32_t> occurrences,
                              Vector<const int32_t> user_position, const Stream& stream) {
  constexpr const char* kName = "relaxed_ranking_backward";
  check_shapes(kName, grad_score, user_embedding, item_embedding, batch);
  const int64_t users = user_embedding.rows;
  const int64_t items = item_embedding.rows;
  const int64_t slots = batch.samples.cols;
  const int64_t cols = item_embedding.cols;
  require_shape(kName, "gradient of users", grad_user, users, cols);
  require_shape(kName, "gradient of items", grad_item, items, cols);
  require_size(kName, "item offsets", item_offsets, items + 1);
  require_size(kName, "occurrences", occurrences, batch.samples.size());
  require_size(kName, "user position", user_position, users);
  if (!slot_code_fits(users, slots)) {
    throw std::invalid_argument("relaxed_ranking_backward: " + std::to_string(users) +
                                " users with " + std::to_string(slots) +
                                " slots do not fit into 32 bits");
  }
  if (batch.users.capacity == 0 || slots == 0 || cols == 0) return;
  launch("relaxed_ranking_backward_users", tiles_for(batch.users.capacity, slots * cols), stream,
         relaxed_ranking_backward_users_kernel, grad_user, grad_score, item_embedding, batch);
  if (items == 0) return;
  const int64_t walked = batch.samples.size() / items + 1;
  const int64_t added = batch.users.capacity * slots * cols / items;
  launch("relaxed_ranking_backward_items", tiles_for(items, walked + added), stream,
         relaxed_ranking_backward_items_kernel, grad_item, grad_score, user_embedding, batch,
         item_offsets, occurrences, user_position, slot_code(slots));
}

}  // namespace derrd
