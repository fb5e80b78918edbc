// Level 4: the recurrences as scans over affine maps: the project's kernel.
//
// The idea: E_k = E_{k+1} f_k + t_k is an affine map of E_{k+1}, and maps compose associatively. So
// 32 steps are a scan: in log2(32) = 5 rounds, lane i composes its map with the maps of lanes i -
// 1, i - 2, i - 4, ... kernels/distill/relaxed_ranking.cu explains the recurrences that it scans;
// they differ from choices.h in the second one (W for V), not in their cost.
//
// On an H200, 1e5 users with K = L = 40, counted in its machine code:
//   93 instructions   fetching the row
//  172                the maxima: a reduction, a scan of two rounds
//  210                the exponentials of two kinds of slots, and their sum
//  132                the scan for E, 2 rounds of 5 * 2 shuffles
//  190                logarithms, reciprocals, the loss
//  260                the scan for W and the gradients
// 1,060 instead of 2,600; 1.06e8 of a warp's at 1.05e12 a second. Its 71 shuffles, which a
// multiprocessor starts once a clock, take 27 us, 12 bytes a slot 22 us. Shared memory costs
// nothing: 33 kB a block would allow 48 warps on a multiprocessor, 56 registers allow 32.
// Predicted: 0.10 ms, two fifths of level 3, instructions being the limit.

#include "bench/ladders/relaxed_ranking/levels.h"

namespace derrd::ladder {

void scans(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
           const Stream& stream) {
  relaxed_ranking(loss, grad_score, call, stream);
}

}  // namespace derrd::ladder
