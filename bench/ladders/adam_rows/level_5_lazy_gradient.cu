// Level 5: lazy gradients too, and a lane takes several columns: the project's kernel,
// kernels/update/adam_rows.cu.
//
// Two ideas. A row gets a gradient only right after it was read, hence up to date: so the gradient
// belongs to the first update that the row misses, and can wait with it. Reading a row is what
// updates it, and the pass over the batch's rows after their step is gone.
// And an update is a chain: p waits for the quotient, the quotient for the root, the root for v.
// Four columns a lane (on a CPU, four vectors) are four chains, and they share what a missed update
// costs besides: the loop, and fetching its corrections.
//
// On an H200, R = 1e6, D = 128, 20 steps, B = 3,000: 32 bytes an element that is read, and 32 at
// the end: 4.3 GB, 1.0 ms. (More than level 4's: here the end is most of it, and it clears all
// gradients.) 36 instructions for 32 elements instead of 43. That is all that four columns gain
// there: root and quotient, correctly rounded, branch each to a rare case of its own, and the
// compiler moves no column's operations across another one's branch. What overlaps the chains is
// other warps, of which 78 registers allow 24 on a multiprocessor.
// Predicted: 2.7 ms, 4/5 of level 4, instructions being the limit.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

void lazy_gradient(const AdamEpoch& epoch, AdamOptions options, const Stream& stream) {
  require_valid("lazy_gradient", epoch);
  const auto catch_up = [&](const RowSegments& rows) {
    const AdamRead read = {epoch.table, rows, {}};
    adam_catch_up({&read, 1}, options, epoch.history, stream);
  };
  const Vector<const int32_t> all_reads = epoch.read.flat();
  for (int64_t step = 0; step < epoch.read.rows; ++step) {
    catch_up({all_reads, {}, {}, epoch.batches.data + step, epoch.read.cols});
    train_on_rows(epoch.table, rows_of_step(epoch, step), stream);
    adam_advance(epoch.history, options, stream);
  }
  catch_up({});
}

}  // namespace derrd::ladder
