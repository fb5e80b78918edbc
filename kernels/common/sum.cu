// Adds a batch's losses to the epoch's total, which stays on the device until the epoch ends.
//
//   total += sum over i of terms_i
//
// Mapping: one block. A thread adds every 256th term, a tile adds its lanes, the first thread adds
// the tiles' sums in their order.
//
// Bytes: 4 per term; a batch's few thousand terms are a matter of latency.
//
// Trap: a float total stops moving at 2^24 times a term. It is a double from the first addition on.

#include "kernels/common/sum.h"

#include "kernels/common/block_sum.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

__global__ void accumulate_sum_kernel(double* total, Vector<const float> terms) {
  __shared__ TileSums<double> tile_sums;
  const cg::thread_block block = cg::this_thread_block();

  const float* __restrict__ from = terms.data;
  double sum = 0.0;
  for (int64_t i = block.thread_rank(); i < terms.size; i += block.size()) sum += from[i];
  sum = block_sum(tile_sums, sum);
  if (block.thread_rank() == 0) *total += sum;
}

}  // namespace

void accumulate_sum(double* total, Vector<const float> terms, const Stream& stream) {
  if (terms.size == 0) return;
  launch("accumulate_sum", blocks_for(1, terms.size), stream, accumulate_sum_kernel, total, terms);
}

}  // namespace derrd
