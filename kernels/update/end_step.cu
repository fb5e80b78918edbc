// The end of a step: what is left to do once for a batch when its gradients are there.
//
//   total_l += sum over i of terms_l,i        for each loss l
//   t       += 1                              number of the update, and Adam's corrections
//   batch   += 1                              cursors of the samples and of the distinct rows
//
// Each of these is a few numbers, so a launch costs more than its work: one launch does them all.
//
// Shapes: terms of loss l [n_l].
// Mapping: a block per loss: a thread adds every 256th term, a tile its lanes, the first thread the
// tiles' sums in their order. One block more, whose first tile serves Adam and whose last one the
// cursors.
// Bytes: 4 per term; a matter of latency.
//
// Traps: a float total stops moving at 2^24 times a term, so it is a double from the first addition
// on. Adam's rows that wait (adam_rows.cu) and all other readers of the batch come before.

#include "kernels/update/end_step.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/common/block_sum.h"
#include "kernels/epoch/next_batch.h"
#include "kernels/platform/execution.h"
#include "kernels/update/adam_element.h"

namespace derrd {

namespace {

/// By value: the host's list is gone when the kernel runs.
struct StepLosses {
  LossTerms list[kMaxLossTerms];
  int count;
};

__global__ void end_step_kernel(const __grid_constant__ StepLosses losses, BatchCursors batch,
                                AdamHistory history, AdamOptions options) {
  __shared__ TileSums<double> tile_sums;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  for (const int64_t unit : units_of(block, int64_t{losses.count} + 1)) {
    if (unit == losses.count) {
      if (tile.meta_group_rank() == 0) begin_update(tile, history, options);
      const bool last = tile.meta_group_rank() + 1 == tile.meta_group_size();
      if (last && tile.thread_rank() == 0 && batch.samples.cursor != nullptr) next_batch(batch);
      continue;
    }
    double* total = losses.list[unit].total;
    for (int64_t l = 0; l < losses.count; ++l) {
      if (losses.list[l].total != total) continue;
      if (l < unit) break;  // the first list of a total stands for all
      const float* __restrict__ from = losses.list[l].terms.data;
      const int64_t size = losses.list[l].terms.size;
      double sum = 0.0;
      for (int64_t i = block.thread_rank(); i < size; i += block.size()) sum += from[i];
      sum = block_sum(tile_sums, sum);
      if (block.thread_rank() == 0) *total += sum;
      block.sync();  // before the next sum
    }
  }
}

}  // namespace

void end_step(std::span<const LossTerms> losses, const BatchCursors& batch, AdamHistory history,
              AdamOptions options, const Stream& stream) {
  require_ring("end_step", history);
  if (losses.size() > kMaxLossTerms) {
    throw std::invalid_argument("end_step: " + std::to_string(losses.size()) +
                                " lists of losses, at most " + std::to_string(kMaxLossTerms));
  }
  StepLosses all = {.list = {}, .count = static_cast<int>(losses.size())};
  std::copy(losses.begin(), losses.end(), all.list);
  int64_t terms = 0;
  for (const LossTerms& loss : losses) terms += loss.terms.size;
  launch("end_step", blocks_for(all.count + 1, terms / (all.count + 1)), stream, end_step_kernel,
         all, batch, history, options);
}

}  // namespace derrd
