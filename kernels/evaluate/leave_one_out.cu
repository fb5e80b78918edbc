// Leave-one-out evaluation: the rank of a held-out item among the user's sampled candidates
// (DE-RRD, section 5.1).
//
//   score(i) = user . item_i
//   rank     = 1 + #{ c in candidates : score(c) >= score(target) }
//
// Shapes: user_embedding [U, D], item_embedding [I, D], candidates [U, C], ranks [U].
// Threads: a tile per user, eight of its lanes per item, which take 16 bytes of a row each; a row
// of 20 floats leaves few of them idle. Each lane works on eight items at once: their rows lie
// anywhere in the table, so the loads of one hide behind those of the others. Afterwards a lane has
// the whole score of one item.
// Bytes: U (C + 2) rows of 4 D bytes, gathered: 2.1 GB for CiteULike at D = 200, from the last
// cache level, whose bandwidth is the limit.
//
// Trap: a tie must be one, whatever the order of a sum. All items go through the same code, the
// held-out ones in the same groups as the candidates; equal rows give equal bits.

#include "kernels/evaluate/leave_one_out.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/common/rows.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

namespace derrd {

namespace {

/// Lanes that share an item, and items that they score at once.
constexpr int kItemLanes = kTileLanes == 1 ? 1 : 8;
constexpr int kAtOnce = 8;
/// Items of which a lane gets the scores.
constexpr int kOwn = kAtOnce / kItemLanes;

/// Adjacent floats of a row, one load.
template <int kWidth>
struct alignas(kWidth * sizeof(float)) Floats {
  float element[kWidth];
};

/// score[i] = user . item_embedding[item[i]] for the lane's own items; a negative item is read as
/// item 0. All lanes call it.
template <int kWidth>
__device__ __forceinline__ void score_items(const WarpTile& tile, float (&score)[kOwn],
                                            const float* __restrict__ user,
                                            Matrix<const float> item_embedding,
                                            const int32_t (&item)[kOwn]) {
  const unsigned lane = tile.thread_rank();
  const unsigned member = lane % kItemLanes;
  const float* row[kAtOnce];
  float sum[kAtOnce];
  for (int j = 0; j < kAtOnce; ++j) {
    const int32_t of_group = tile.shfl(item[j % kOwn], lane - member + j / kOwn);
    row[j] = item_embedding.row(of_group < 0 ? 0 : of_group);
    sum[j] = 0.0f;
  }
  for (int64_t k = member * kWidth; k < item_embedding.cols; k += kItemLanes * kWidth) {
    const auto factor = *reinterpret_cast<const Floats<kWidth>*>(user + k);
    for (int j = 0; j < kAtOnce; ++j) {
      const auto part = *reinterpret_cast<const Floats<kWidth>*>(row[j] + k);
      for (int e = 0; e < kWidth; ++e) sum[j] += factor.element[e] * part.element[e];
    }
  }
  // Each step halves the items of a lane: it gives the sums of one half away and adds those of the
  // other. So an item's sums meet in the same tree, whichever lane gets them.
  for (int half = kAtOnce / 2; half >= kOwn; half /= 2) {
    const unsigned other = lane ^ (half / kOwn);
    const bool upper = other < lane;
    for (int j = 0; j < half; ++j) {
      const float given = upper ? sum[j] : sum[j + half];
      sum[j] = (upper ? sum[j + half] : sum[j]) + tile.shfl(given, other);
    }
  }
  for (int i = 0; i < kOwn; ++i) score[i] = sum[i];
}

/// A user's item that is ranked in a turn, -1 if there is none.
__device__ __forceinline__ int32_t item_of_turn(SparseRows rows, int64_t turn, int64_t user) {
  const int64_t position = rows.offsets[user] + turn;
  return position < rows.offsets[user + 1] ? rows.items[position] : -1;
}

/// A held-out item against the candidates seen so far.
struct Standing {
  float score = 0.0f;
  int32_t not_lower = 0;

  __device__ int32_t rank(int32_t item, bool candidates_finite) const {
    if (item < 0) return 0;
    return candidates_finite && std::isfinite(score) ? not_lower + 1 : -1;
  }
};

/// Writes a user's ranks from what each lane has counted.
__device__ __forceinline__ void write_ranks(const WarpTile& tile, LeaveOneOutRanks ranks,
                                            int64_t user, Standing valid, int32_t valid_item,
                                            Standing test, int32_t test_item, int32_t infinite) {
  infinite = cg::reduce(tile, infinite, cg::plus<int32_t>());
  valid.not_lower = cg::reduce(tile, valid.not_lower, cg::plus<int32_t>());
  test.not_lower = cg::reduce(tile, test.not_lower, cg::plus<int32_t>());
  if (tile.thread_rank() == 0) {
    ranks.valid[user] = valid.rank(valid_item, infinite == 0);
    ranks.test[user] = test.rank(test_item, infinite == 0);
  }
}

template <int kWidth>
__global__ void leave_one_out_ranks_kernel(LeaveOneOutRanks ranks,
                                           Matrix<const float> user_embedding,
                                           Matrix<const float> item_embedding, HeldOutItems items) {
  const WarpTile tile = warp_tile();
  const Matrix<const int32_t> candidates = items.candidates;
  for (const int64_t u : units_of(tile, user_embedding.rows)) {
    const float* user = user_embedding.row(u);
    const int32_t* candidate = candidates.row(u);
    const int32_t valid_item = item_of_turn(items.valid, items.turn, u),
                  test_item = item_of_turn(items.test, items.turn, u);
    Standing valid, test;
    int32_t infinite = 0;
    // Slots 0 and 1 are the held-out items, the candidates follow.
    const int64_t slots = valid_item < 0 && test_item < 0 ? 0 : candidates.cols + 2;
    for (int64_t first = 0; first < slots; first += tile.size() * kOwn) {
      const int64_t own = first + tile.thread_rank() * kOwn;
      int32_t item[kOwn];
      for (int i = 0; i < kOwn; ++i) {
        const int64_t slot = own + i;
        item[i] = slot == 0      ? valid_item
                  : slot == 1    ? test_item
                  : slot < slots ? candidate[slot - 2]
                                 : -1;
      }
      float score[kOwn];
      score_items<kWidth>(tile, score, user, item_embedding, item);
      if (first == 0) {
        valid.score = tile.shfl(score[0], 0);
        test.score = tile.shfl(score[1 % kOwn], 1 / kOwn);
      }
      for (int i = 0; i < kOwn; ++i) {
        const bool counts = item[i] >= 0 && own + i >= 2;
        infinite += counts && !std::isfinite(score[i]) ? 1 : 0;
        valid.not_lower += counts && score[i] >= valid.score ? 1 : 0;
        test.not_lower += counts && score[i] >= test.score ? 1 : 0;
      }
    }
    write_ranks(tile, ranks, u, valid, valid_item, test, test_item, infinite);
  }
}

__global__ void leave_one_out_items_kernel(Matrix<int32_t> item, HeldOutItems items,
                                           int64_t first_user) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, item.rows)) {
    const int64_t user = first_user + r;
    int32_t* __restrict__ out = item.row(r);
    const int32_t valid = item_of_turn(items.valid, items.turn, user),
                  test = item_of_turn(items.test, items.turn, user);
    if (tile.thread_rank() == 0) {
      out[0] = valid;
      out[1] = test;
    }
    if (valid < 0 && test < 0) {
      for (int64_t c = 2 + tile.thread_rank(); c < item.cols; c += tile.size()) out[c] = -1;
    } else {
      copy_row(tile, out + 2, items.candidates.row(user), items.candidates.cols);
    }
  }
}

__global__ void ranks_of_scores_kernel(LeaveOneOutRanks ranks, Matrix<const float> score,
                                       Matrix<const int32_t> item) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, score.rows)) {
    const float* __restrict__ scores = score.row(r);
    const int32_t* __restrict__ items = item.row(r);
    Standing valid = {scores[0]}, test = {scores[1]};
    int32_t infinite = 0;
    for (int64_t c = 2 + tile.thread_rank(); c < score.cols; c += tile.size()) {
      const bool counts = items[c] >= 0;
      infinite += counts && !std::isfinite(scores[c]) ? 1 : 0;
      valid.not_lower += counts && scores[c] >= valid.score ? 1 : 0;
      test.not_lower += counts && scores[c] >= test.score ? 1 : 0;
    }
    write_ranks(tile, ranks, r, valid, items[0], test, items[1], infinite);
  }
}

void require_rows(const char* operation, const HeldOutItems& items, int64_t users) {
  require_size(operation, "the offsets of valid", items.valid.offsets, users + 1);
  require_size(operation, "the offsets of test", items.test.offsets, users + 1);
}

}  // namespace

void leave_one_out_items(Matrix<int32_t> item, const HeldOutItems& items, int64_t first_user,
                         const Stream& stream) {
  constexpr const char* kName = "leave_one_out_items";
  const int64_t users = items.candidates.rows;
  require_shape(kName, "item", item, item.rows, items.candidates.cols + 2);
  require_rows(kName, items, users);
  if (first_user < 0 || first_user + item.rows > users) {
    throw std::invalid_argument("leave_one_out_items: users " + std::to_string(first_user) +
                                " to " + std::to_string(first_user + item.rows) + " of " +
                                std::to_string(users));
  }
  if (item.rows == 0) return;
  launch(kName, tiles_for(item.rows, item.cols), stream, leave_one_out_items_kernel, item, items,
         first_user);
}

void ranks_of_scores(LeaveOneOutRanks ranks, Matrix<const float> score, Matrix<const int32_t> item,
                     const Stream& stream) {
  constexpr const char* kName = "ranks_of_scores";
  require_shape(kName, "item", item, score.rows, score.cols);
  require_size(kName, "ranks.valid", ranks.valid, score.rows);
  require_size(kName, "ranks.test", ranks.test, score.rows);
  if (score.cols < 2) {
    throw std::invalid_argument("ranks_of_scores: " + std::to_string(score.cols) +
                                " scores a user; the held-out items alone are 2");
  }
  if (score.rows == 0) return;
  launch(kName, tiles_for(score.rows, score.cols), stream, ranks_of_scores_kernel, ranks, score,
         item);
}

void leave_one_out_ranks(LeaveOneOutRanks ranks, Matrix<const float> user_embedding,
                         Matrix<const float> item_embedding, const HeldOutItems& items,
                         const Stream& stream) {
  constexpr const char* kName = "leave_one_out_ranks";
  const int64_t users = user_embedding.rows;
  const int64_t dims = user_embedding.cols;
  require_shape(kName, "item_embedding", item_embedding, item_embedding.rows, dims);
  require_size(kName, "ranks.valid", ranks.valid, users);
  require_size(kName, "ranks.test", ranks.test, users);
  require_rows(kName, items, users);
  require_shape(kName, "candidates", items.candidates, users, items.candidates.cols);
  if (users == 0) return;
  constexpr int kWidth = kTileLanes == 1 ? 1 : 4;
  const auto aligned = [](Matrix<const float> m) {
    return reinterpret_cast<uintptr_t>(m.data) % (kWidth * sizeof(float)) == 0 &&
           m.cols % kWidth == 0;
  };
  const bool wide = aligned(user_embedding) && aligned(item_embedding);
  launch(kName, tiles_for(users, (items.candidates.cols + 2) * (dims + 8)), stream,
         wide ? leave_one_out_ranks_kernel<kWidth> : leave_one_out_ranks_kernel<1>, ranks,
         user_embedding, item_embedding, items);
}

}  // namespace derrd
