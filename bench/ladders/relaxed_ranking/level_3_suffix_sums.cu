// Level 3: suffix sums, so that the work is linear in K.
//
// The idea: the sum of a suffix is the next shorter one's and a term. choices.h has the
// recurrences, which stay exact for scores of any size with one exponential a slot; they make two
// walks from the last item to the first and one back. Maximum, exponentials and the sum over the
// uninteresting items need no order and stay with all lanes; the walks are the first lane's.
//
// On an H200, 1e5 users with K = L = 40: the walks take about 11, 31 and 9 instructions an item,
// 2,050 in all, and the rest 550: 2,600 instead of 12,900. In four fifths of them one lane works
// and 31 wait, which costs the warp as much as if all worked. 2.6e8 of a warp's instructions at
// 1.05e12 a second.
// Predicted: 0.25 ms, a fifth of level 2. 64 registers, 16 kB of shared memory.

#include "bench/ladders/relaxed_ranking/arguments.h"
#include "bench/ladders/relaxed_ranking/choices.h"
#include "bench/ladders/relaxed_ranking/levels.h"
#include "kernels/common/tile_part.h"

namespace derrd::ladder {

namespace {

__global__ void suffix_sums_kernel(Arguments a) {
  __shared__ SharedArray<float, kBlockTiles * kMaxRankingSamples> shared_row;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const auto row = part_of(tile, shared_row);
  const int64_t users = a.users();
  const int64_t slots = a.slots();
  const int64_t interesting = a.call.interesting;
  const float share = a.share();
  const float factor = a.call.scale * share;

  for (const int64_t user : units_of(tile, a.loss.size)) {
    if (user >= users) {  // the same for all lanes
      if (lane == 0) a.loss[user] = 0.0f;
      continue;
    }
    const UserRows rows = a.rows_of(user);
    for (int64_t slot = lane; slot < slots; slot += lanes) row[slot] = rows.score_or_absent(slot);
    tile.sync();

    float peak = kAbsent;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      peak = row[j] > peak ? row[j] : peak;
    }
    peak = cg::reduce(tile, peak, cg::greater<float>());
    float loss = lane == 0 ? walk_gaps(row, interesting, peak) : 0.0f;
    tile.sync();

    for (int64_t k = lane; k < interesting; k += lanes) row[k] = signed_exponential(row[k]);
    float sum = 0.0f;
    for (int64_t j = interesting + lane; j < slots; j += lanes) {
      const float term = uninteresting_term(row[j], peak);
      row[j] = term;
      sum += term;
    }
    sum = cg::reduce(tile, sum, cg::plus<float>());
    tile.sync();

    float left = 0.0f;
    if (lane == 0) {
      loss += walk_choices(row, interesting, sum);
      a.loss[user] = loss * share;
      left = walk_masses(row, interesting);
    }
    left = tile.shfl(left, 0);
    tile.sync();

    const float tail = sum > 0.0f ? left / sum * factor : 0.0f;
    for (int64_t slot = lane; slot < slots; slot += lanes) {
      rows.grad[slot] = row[slot] * (slot < interesting ? factor : tail);
    }
    // No barrier: a lane fetches the next user's scores into the slots that it stored from.
  }
}

}  // namespace

void suffix_sums(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                 const Stream& stream) {
  constexpr const char* kName = "suffix_sums";
  const Arguments a = {loss, grad_score, call};
  require_valid(kName, a);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerScore = 30;
  launch(kName, tiles_for(loss.size, a.slots() * kOperationsPerScore), stream, suffix_sums_kernel,
         a);
}

}  // namespace derrd::ladder
