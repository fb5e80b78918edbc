// Adam over the rows of embedding tables, each when it is next read: the dense result (adam.cu),
// bit for bit, for a fraction of its traffic.
//
// A batch touches a few thousand rows, but every row moves at every step: its moments decay, and L2
// acts. For a row that nobody reads nothing is lost if these moves wait. So a row keeps the number
// of updates applied to it, and whoever reads it next applies the missed ones in registers:
//
//   for t = applied + 1 .. now:   p, m, v <- adam(p, m, v, gradient if t = applied + 1 else 0, t)
//
// A row gets a gradient only in a step that has read it, hence right after it was up to date: the
// gradient belongs to the first update that it misses, and waits with it. So there is no second
// pass over the batch's rows at the end of the step.
//
// Shapes: the table's value, moments and gradient [R, D], applied [R]. The corrections lie in
// device memory. An epoch's end brings all rows up to date, so those of the latest updates are
// enough.
//
// Mapping: a tile owns a row, its lanes stride over the columns, up to four at a time in registers,
// which share the loop over the updates and the fetch of their corrections. A launch takes the
// batch's distinct rows of several tables; a second list of the same table (items as positive, then
// as negative ones) is the next launch's. Rows of slots are not distinct: of the tiles that meet at
// one, that which replaces `applied` does the work.
//
// Bytes: 32 per element of a row that has missed something, instead of per element of the table
// and step: at CiteULike's teacher (d = 200) 19 MB a step instead of 195. The arithmetic stays, at
// about 35 instructions per element and missed update it is the new limit.

#include "kernels/update/adam_rows.h"

#include <algorithm>

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/update/adam_element.h"
#include "kernels/update/row_list.h"

namespace derrd {

namespace {

constexpr int kMaxReads = 4;

/// Rows that one launch brings up to date: lists of different tables. By value: the host's list is
/// gone when the kernel runs.
struct AdamReads {
  AdamRead list[kMaxReads];
  int64_t units[kMaxReads];  ///< rows, or slots, at most
  int count;
  int64_t total;
};

/// The updates that a row has missed: numbers first .. last, none if first > last.
struct MissedUpdates {
  int64_t first, last;
};

/// Claims the row's missed updates for this tile; none if another tile already has.
__device__ __forceinline__ MissedUpdates claim(const WarpTile& tile, uint32_t& applied,
                                               bool several_tiles, int64_t now) {
  const auto latest = static_cast<uint32_t>(now);
  uint32_t before = latest;
  if (tile.thread_rank() == 0) {
    if (several_tiles) {
      before = atomic_load(applied);
      if (before != latest) before = atomic_exchange(applied, latest);
    } else {
      before = applied;
      applied = latest;
    }
  }
  const uint32_t missed = latest - tile.shfl(before, 0);
  return {now - missed + 1, now};
}

/// The missed updates of kParts * kLaneWidth columns a lane, from `first` on.
template <int kParts>
__device__ __forceinline__ void catch_up_columns(const WarpTile& tile, const AdamRows& table,
                                                 int64_t row, int64_t first, MissedUpdates missed,
                                                 const AdamFactors& factors,
                                                 const AdamHistory& history) {
  const int64_t column = first + tile.thread_rank() * kLaneWidth;
  const int64_t part = tile.size() * kLaneWidth;  // from a lane's columns to its next ones
  const int64_t count = table.value.cols - column;
  float* __restrict__ value = table.value.row(row) + column;
  float* __restrict__ first_moment = table.first_moment.row(row) + column;
  float* __restrict__ second_moment = table.second_moment.row(row) + column;
  float* __restrict__ gradient = table.gradient.row(row) + column;

  LaneFloats p[kParts], m[kParts], v[kParts];
  const AdamCorrections corrections = history.corrections[history.position_of(missed.first)];
  for (int j = 0; j < kParts; ++j) {
    p[j] = load_lanes(value + j * part, count - j * part);
    m[j] = load_lanes(first_moment + j * part, count - j * part);
    v[j] = load_lanes(second_moment + j * part, count - j * part);
    const LaneFloats g = load_lanes(gradient + j * part, count - j * part);
    adam_update(p[j], m[j], v[j], g, factors, corrections);
  }
  for (int64_t t = missed.first + 1; t <= missed.last; ++t) {
    const AdamCorrections later = history.corrections[history.position_of(t)];
    for (int j = 0; j < kParts; ++j) {
      adam_update(p[j], m[j], v[j], spread(0.0f), factors, later);
    }
  }
  for (int j = 0; j < kParts; ++j) {
    store_lanes(value + j * part, p[j], count - j * part);
    store_lanes(first_moment + j * part, m[j], count - j * part);
    store_lanes(second_moment + j * part, v[j], count - j * part);
    store_lanes(gradient + j * part, spread(0.0f), count - j * part);
  }
}

__global__ void adam_catch_up_kernel(const __grid_constant__ AdamReads reads, AdamFactors factors,
                                     AdamHistory history) {
  const WarpTile tile = warp_tile();
  const int64_t part = tile.size() * kLaneWidth;
  const int64_t now = *history.steps;
  for (const int64_t unit : units_of(tile, reads.total)) {
    int r = 0;
    int64_t i = unit;
    while (i >= reads.units[r]) i -= reads.units[r++];
    const AdamRead& read = reads.list[r];
    const int64_t row = row_of_unit(read.rows, read.samples, i);
    if (row < 0) continue;
    const bool several_tiles = read.samples.data != nullptr;
    const MissedUpdates missed = claim(tile, read.table.applied[row], several_tiles, now);
    if (missed.first > missed.last) continue;
    const int64_t cols = read.table.value.cols;
    for (int64_t first = 0; first < cols;) {
      const int64_t parts = (cols - first + part - 1) / part;
      if (parts >= 4) {
        catch_up_columns<4>(tile, read.table, row, first, missed, factors, history);
        first += 4 * part;
      } else if (parts >= 2) {
        catch_up_columns<2>(tile, read.table, row, first, missed, factors, history);
        first += 2 * part;
      } else {
        catch_up_columns<1>(tile, read.table, row, first, missed, factors, history);
        first += part;
      }
    }
  }
}

/// Rows or slots of a list, at most. One that is longer than the table becomes all rows of the
/// table: in order, and a row that is not needed now only catches up early.
int64_t shorten(AdamRead& read) {
  const int64_t table_rows = read.table.value.rows;
  const int64_t units = row_list_units(read.rows, read.samples, table_rows);
  if (units < table_rows) return units;
  read.rows.batch = nullptr;
  read.samples = {};
  return table_rows;
}

void check_table(const AdamRows& table) {
  constexpr const char* kName = "adam_catch_up";
  const int64_t rows = table.value.rows;
  const int64_t cols = table.value.cols;
  require_shape(kName, "first_moment", table.first_moment, rows, cols);
  require_shape(kName, "second_moment", table.second_moment, rows, cols);
  require_shape(kName, "gradient", table.gradient, rows, cols);
  require_size(kName, "applied", table.applied, rows);
}

}  // namespace

void adam_catch_up(std::span<const AdamRead> reads, AdamOptions options, AdamHistory history,
                   const Stream& stream) {
  constexpr int64_t kOperations = 16;
  require_ring("adam_catch_up", history);
  AdamReads together{};
  int64_t cols = 0;
  const auto launch_together = [&] {
    if (together.total == 0) return;
    launch("adam_catch_up", tiles_for(together.total, kOperations * cols), stream,
           adam_catch_up_kernel, together, adam_factors(options), history);
    together = {};
    cols = 0;
  };
  for (AdamRead read : reads) {
    check_table(read.table);
    const int64_t units = shorten(read);
    if (units == 0) continue;
    const auto* begin = together.list;
    const auto* end = begin + together.count;
    const bool same_table = std::any_of(begin, end, [&](const AdamRead& other) {
      return other.table.applied.data == read.table.applied.data;
    });
    if (same_table || together.count == kMaxReads) launch_together();
    together.list[together.count] = read;
    together.units[together.count++] = units;
    together.total += units;
    cols = std::max(cols, read.table.value.cols);
  }
  launch_together();
}

}  // namespace derrd
