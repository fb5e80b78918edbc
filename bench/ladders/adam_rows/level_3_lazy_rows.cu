// Level 3: lazy rows, which are updated when they are read.
//
// The idea: a step reads B rows of R. What the others miss changes nothing for anybody until they
// are read themselves. So a row keeps the number of updates applied to it, and makes up for the
// missed ones then; at the end all rows do. A missed update's gradient is zero, and its corrections
// lie in AdamHistory. A row's updates keep their order, hence it keeps its bits.
//
// A step is now: catch up the rows that it reads; let it add to their gradients; update these rows
// at once. A tile owns a row. Here it makes one missed update after the other over the whole row,
// each from memory to memory, as level 2's launches would.
//
// On an H200, R = 1e6, D = 128, 20 steps, B = 3,000: device memory is read and written once for a
// row that catches up, 24 bytes an element, and once after its step, 32: 3.5 GB, 0.8 ms. Between
// two updates a row is 1.5 kB that its tile has just written, and L1 has it. But L1 writes through:
// the 12 bytes that an update of an element stores, 31 GB, go to the L2 cache. How fast that takes
// them we have not measured; not slower than the memory behind it, in 7 ms. The 54 instructions for
// 32 elements are issued in 4 ms, as in level 2, because no update is left out: waiting saves
// traffic, never arithmetic.
// Predicted: 4 to 7 ms, a third of level 2 or less, L2 or instructions being the limit. 46
// registers.

#include "bench/ladders/adam_rows/arguments.h"

namespace derrd::ladder {

namespace {

__global__ void step_through_memory_kernel(AdamRows table, Vector<const int32_t> rows,
                                           int64_t units, AdamFactors factors,
                                           AdamHistory history) {
  const WarpTile tile = warp_tile();
  const int64_t part = tile.size() * kLaneWidth;
  const int64_t cols = table.value.cols;
  const int64_t now = *history.steps;
  for (const int64_t unit : units_of(tile, units)) {
    const int64_t row = rows.data == nullptr ? unit : rows[unit];
    const int64_t missed = take_missed(tile, table.applied[row], now);
    float* __restrict__ value = table.value.row(row);
    float* __restrict__ first_moment = table.first_moment.row(row);
    float* __restrict__ second_moment = table.second_moment.row(row);
    for (int64_t t = now - missed + 1; t <= now; ++t) {
      const AdamCorrections corrections = history.corrections[history.position_of(t)];
      for (int64_t d = tile.thread_rank() * kLaneWidth; d < cols; d += part) {
        LaneFloats p = load_lanes(value + d, cols - d);
        LaneFloats m = load_lanes(first_moment + d, cols - d);
        LaneFloats v = load_lanes(second_moment + d, cols - d);
        adam_update(p, m, v, spread(0.0f), factors, corrections);
        store_lanes(value + d, p, cols - d);
        store_lanes(first_moment + d, m, cols - d);
        store_lanes(second_moment + d, v, cols - d);
      }
    }
  }
}

__global__ void update_read_rows_kernel(AdamRows table, Vector<const int32_t> rows,
                                        AdamFactors factors, AdamHistory history) {
  const WarpTile tile = warp_tile();
  const int64_t part = tile.size() * kLaneWidth;
  const int64_t cols = table.value.cols;
  const int64_t now = *history.steps;
  const AdamCorrections corrections = history.corrections[history.position_of(now)];
  for (const int64_t unit : units_of(tile, rows.size)) {
    const int64_t row = rows[unit];
    if (tile.thread_rank() == 0) table.applied[row] = static_cast<uint32_t>(now);
    float* __restrict__ value = table.value.row(row);
    float* __restrict__ first_moment = table.first_moment.row(row);
    float* __restrict__ second_moment = table.second_moment.row(row);
    float* __restrict__ gradient = table.gradient.row(row);
    for (int64_t d = tile.thread_rank() * kLaneWidth; d < cols; d += part) {
      LaneFloats p = load_lanes(value + d, cols - d);
      LaneFloats m = load_lanes(first_moment + d, cols - d);
      LaneFloats v = load_lanes(second_moment + d, cols - d);
      adam_update(p, m, v, load_lanes(gradient + d, cols - d), factors, corrections);
      store_lanes(value + d, p, cols - d);
      store_lanes(first_moment + d, m, cols - d);
      store_lanes(second_moment + d, v, cols - d);
      store_lanes(gradient + d, spread(0.0f), cols - d);
    }
  }
}

/// @param rows without data: all rows of the table
void step_through_memory(const AdamEpoch& epoch, Vector<const int32_t> rows, AdamOptions options,
                         const Stream& stream) {
  const AdamRows& table = epoch.table;
  const int64_t units = rows.data == nullptr ? table.value.rows : rows.size;
  if (units == 0) return;
  launch("lazy_rows", tiles_for(units, kOperationsPerUpdate * table.value.cols), stream,
         step_through_memory_kernel, table, rows, units, adam_factors(options), epoch.history);
}

}  // namespace

void update_read_rows(const AdamRows& table, Vector<const int32_t> rows, AdamOptions options,
                      AdamHistory history, const Stream& stream) {
  if (rows.size == 0) return;
  launch("update_read_rows", tiles_for(rows.size, kOperationsPerUpdate * table.value.cols), stream,
         update_read_rows_kernel, table, rows, adam_factors(options), history);
}

void lazy_rows(const AdamEpoch& epoch, AdamOptions options, const Stream& stream) {
  require_valid("lazy_rows", epoch);
  for (int64_t step = 0; step < epoch.read.rows; ++step) {
    const Vector<const int32_t> rows = rows_of_step(epoch, step);
    step_through_memory(epoch, rows, options, stream);
    train_on_rows(epoch.table, rows, stream);
    adam_advance(epoch.history, options, stream);
    update_read_rows(epoch.table, rows, options, epoch.history, stream);
  }
  step_through_memory(epoch, {}, options, stream);
}

}  // namespace derrd::ladder
