// Level 1: the formula as it is printed, a thread per user.
//
//   z_k = M_k + log sum_{i >= k} e^{s_i - M_k},  M_k = max_{i >= k} s_i
//   loss = sum_k (z_k - s_k),                    dL/ds_i = sum_{k <= i} e^{s_i - z_k} - [i < K]
// with k over the K interesting slots and i over all slots, the interesting ones first.
//
// Every suffix has its own maximum, so this is exact for scores of any size, and it is what the
// levels after it must reproduce. It sums each suffix afresh: 40 * 80 - 780 = 2,420 pairs (k, i) a
// user with K = L = 40, two exponentials and 8 accesses to memory each.
//
// On an H200, 1e5 users: 43 instructions a pair are 3.3e8 of a warp's, 0.3 ms. But the 32 lanes of
// a warp read 32 rows, 320 bytes apart, whose words lie in 2 of the 32 banks: an access that could
// take one turn takes 16. 2,420 pairs * 8 accesses * 16 turns * 3,125 warps = 9.7e8 turns, of which
// 132 multiprocessors at 1.98 GHz do 2.6e11 a second.
// Predicted: 3.7 ms, the caches' port being the limit. 40 registers.

#include "bench/ladders/relaxed_ranking/arguments.h"
#include "bench/ladders/relaxed_ranking/levels.h"

namespace derrd::ladder {

namespace {

__global__ void thread_per_user_kernel(Arguments a) {
  const int64_t users = a.users();
  const int64_t slots = a.slots();
  const float share = a.share();
  const float factor = a.call.scale * share;

  for (const int64_t user : units_of(SingleThread(), a.loss.size)) {
    a.loss[user] = 0.0f;
    if (user >= users) continue;
    const UserRows rows = a.rows_of(user);
    for (int64_t slot = 0; slot < slots; ++slot) rows.grad[slot] = 0.0f;

    float loss = 0.0f;
    for (int64_t k = 0; k < a.call.interesting; ++k) {
      const float own = rows.score_or_absent(k);
      if (own == kAbsent) continue;
      float peak = own;
      for (int64_t i = k; i < slots; ++i) {
        const float score = rows.score_or_absent(i);
        peak = score > peak ? score : peak;
      }
      float sum = 0.0f;
      for (int64_t i = k; i < slots; ++i) sum += expf(rows.score_or_absent(i) - peak);
      loss += logf(sum) + (own < peak ? peak - own : 0.0f);  // z_k - r_k
      const float weight = factor / sum;
      for (int64_t i = k; i < slots; ++i) {
        rows.grad[i] += expf(rows.score_or_absent(i) - peak) * weight;
      }
      rows.grad[k] -= factor;
    }
    a.loss[user] = loss * share;
  }
}

}  // namespace

void thread_per_user(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                     const Stream& stream) {
  constexpr const char* kName = "thread_per_user";
  const Arguments a = {loss, grad_score, call};
  require_valid(kName, a);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerPair = 30;
  launch(kName, threads_for(loss.size, call.interesting * a.slots() * kOperationsPerPair), stream,
         thread_per_user_kernel, a);
}

}  // namespace derrd::ladder
