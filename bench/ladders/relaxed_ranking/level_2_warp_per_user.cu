// Level 2: a warp per user, the row in shared memory.
//
// The idea: neighbouring lanes take neighbouring slots. A row of 80 scores is then three accesses
// of 128 adjacent bytes, made once; after that everything happens in shared memory, in a word per
// lane and bank, until the gradient leaves as it came. The formula is level 1's; what was a loop of
// a thread is a reduction across lanes.
//
// On an H200, 1e5 users with K = L = 40: global memory is touched for 12 bytes a slot, 96 MB, 22 us
// at the 4.3 TB/s of a copy. Accesses to shared memory cost one turn instead of 16. What is left is
// to issue the instructions: about 320 a choice k (three rounds over up to 80 slots, each for
// maximum, sum and gradient; two reductions of 5 shuffles; a logarithm; a division), 12,900 a user,
// and every lane of the last round that has no slot idles along. 1.3e9 of a warp's instructions at
// 1.05e12 a second.
// Predicted: 1.2 ms, a third of level 1. 40 registers, 32 kB of shared memory for up to 512 slots.

#include "bench/ladders/relaxed_ranking/arguments.h"
#include "bench/ladders/relaxed_ranking/levels.h"
#include "kernels/common/tile_part.h"

namespace derrd::ladder {

namespace {

__global__ void warp_per_user_kernel(Arguments a) {
  __shared__ SharedArray<float, kBlockTiles * kMaxRankingSamples> shared_score;
  __shared__ SharedArray<float, kBlockTiles * kMaxRankingSamples> shared_grad;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const auto score = part_of(tile, shared_score);
  const auto grad = part_of(tile, shared_grad);
  const int64_t users = a.users();
  const int64_t slots = a.slots();
  const float share = a.share();
  const float factor = a.call.scale * share;

  for (const int64_t user : units_of(tile, a.loss.size)) {
    if (user >= users) {  // the same for all lanes
      if (lane == 0) a.loss[user] = 0.0f;
      continue;
    }
    const UserRows rows = a.rows_of(user);
    for (int64_t slot = lane; slot < slots; slot += lanes) {
      score[slot] = rows.score_or_absent(slot);
      grad[slot] = 0.0f;
    }
    tile.sync();

    float loss = 0.0f;
    for (int64_t k = 0; k < a.call.interesting; ++k) {
      const float own = score[k];
      if (own == kAbsent) continue;  // the same for all lanes
      // A lane keeps to its own slots from k on, whatever k is, and so needs no barrier for grad.
      const int64_t round = k - k % lanes + lane;
      const int64_t first = round < k ? round + lanes : round;
      float peak = own;
      for (int64_t i = first; i < slots; i += lanes) peak = score[i] > peak ? score[i] : peak;
      peak = cg::reduce(tile, peak, cg::greater<float>());
      float sum = 0.0f;
      for (int64_t i = first; i < slots; i += lanes) sum += expf(score[i] - peak);
      sum = cg::reduce(tile, sum, cg::plus<float>());
      loss += logf(sum) + (own < peak ? peak - own : 0.0f);
      const float weight = factor / sum;
      for (int64_t i = first; i < slots; i += lanes) grad[i] += expf(score[i] - peak) * weight;
      if (first == k) grad[k] -= factor;
    }
    if (lane == 0) a.loss[user] = loss * share;
    for (int64_t slot = lane; slot < slots; slot += lanes) rows.grad[slot] = grad[slot];
    tile.sync();  // before the next user's scores
  }
}

}  // namespace

void warp_per_user(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                   const Stream& stream) {
  constexpr const char* kName = "warp_per_user";
  const Arguments a = {loss, grad_score, call};
  require_valid(kName, a);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerPair = 30;
  launch(kName, tiles_for(loss.size, call.interesting * a.slots() * kOperationsPerPair), stream,
         warp_per_user_kernel, a);
}

}  // namespace derrd::ladder
