// Level 4: the missed updates in registers.
//
// The idea: swap the two loops. The tile's first columns, 32 on a GPU, make all missed updates in
// registers before the next columns do. So an element is read once and written once, however many
// updates it has missed. All else is level 3's; the rows of a batch are still updated in a pass of
// their own after their step.
//
// On an H200, R = 1e6, D = 128, 20 steps, B = 3,000: 3.5 GB of device memory as before, 0.8 ms, and
// in between nothing but the corrections, from L1. Without loads and stores an update of 32
// elements takes 43 instructions instead of 54; 8e7 of them, at 1.05e12 instructions a second.
// Predicted: 3.3 ms, 4/5 of level 3 or less, instructions being the limit. 44 registers.
//
// The price: the inner loop is one chain of operations that wait for each other. Level 3's had as
// many at once as a row has parts. A multiprocessor has other warps to turn to; a CPU's core
// doesn't.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

namespace {

__global__ void registers_kernel(AdamRows table, Vector<const int32_t> rows, int64_t units,
                                 AdamFactors factors, AdamHistory history) {
  const WarpTile tile = warp_tile();
  const int64_t part = tile.size() * kLaneWidth;
  const int64_t cols = table.value.cols;
  const int64_t now = *history.steps;
  for (const int64_t unit : units_of(tile, units)) {
    const int64_t row = rows.data == nullptr ? unit : rows[unit];
    const int64_t missed = take_missed(tile, table.applied[row], now);
    if (missed == 0) continue;
    float* __restrict__ value = table.value.row(row);
    float* __restrict__ first_moment = table.first_moment.row(row);
    float* __restrict__ second_moment = table.second_moment.row(row);
    for (int64_t d = tile.thread_rank() * kLaneWidth; d < cols; d += part) {
      LaneFloats p = load_lanes(value + d, cols - d);
      LaneFloats m = load_lanes(first_moment + d, cols - d);
      LaneFloats v = load_lanes(second_moment + d, cols - d);
      for (int64_t t = now - missed + 1; t <= now; ++t) {
        adam_update(p, m, v, spread(0.0f), factors, history.corrections[history.position_of(t)]);
      }
      store_lanes(value + d, p, cols - d);
      store_lanes(first_moment + d, m, cols - d);
      store_lanes(second_moment + d, v, cols - d);
    }
  }
}

/// @param rows without data: all rows of the table
void catch_up(const AdamEpoch& epoch, Vector<const int32_t> rows, AdamOptions options,
              const Stream& stream) {
  const AdamRows& table = epoch.table;
  const int64_t units = rows.data == nullptr ? table.value.rows : rows.size;
  if (units == 0) return;
  launch("registers", tiles_for(units, kOperationsPerUpdate * table.value.cols), stream,
         registers_kernel, table, rows, units, adam_factors(options), epoch.history);
}

}  // namespace

void registers(const AdamEpoch& epoch, AdamOptions options, const Stream& stream) {
  require_valid("registers", epoch);
  for (int64_t step = 0; step < epoch.read.rows; ++step) {
    const Vector<const int32_t> rows = rows_of_step(epoch, step);
    catch_up(epoch, rows, options, stream);
    train_on_rows(epoch.table, rows, stream);
    adam_advance(epoch.history, options, stream);
    update_read_rows(epoch.table, rows, options, epoch.history, stream);
  }
  catch_up(epoch, {}, options, stream);
}

}  // namespace derrd::ladder
