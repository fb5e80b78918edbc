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
// Mapping: a tile owns a row, its lanes stride over the columns, several at a time in registers,
// which share the loop over the updates and the fetch of their corrections. A launch takes all
// lists of a step. A row may be in several of them, or in several slots: of the tiles that meet at
// one, that which replaces `applied` does the work.
//
// Bytes: 32 per element of a row that has missed something, instead of per element of the table
// and step: at CiteULike's teacher (d = 200) 19 MB a step instead of 195. The arithmetic stays, at
// about 12 PTX instructions per element and missed update it is the new limit.
//
// Trap: missed updates of an element follow one another. On a GPU a row that has missed a hundred
// keeps its tile busy when all others have finished. So each step also takes some rows of a table
// in turn: at CiteULike's size every fifteenth, for half as many bytes again, and no row misses
// more than fifteen.

#include "kernels/update/adam_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"
#include "kernels/update/adam_element.h"
#include "kernels/update/row_list.h"

namespace derrd {

namespace {

constexpr int kMaxReads = 12;
constexpr int kMaxParts = kTileLanes > 1 ? 8 : 4;               // of a row, in registers
constexpr int64_t kRowPart = int64_t{kTileLanes} * kLaneWidth;  // columns that a tile takes at once

/// A list of rows, as a launch takes it.
struct ReadList {
  AdamRead read;
  int64_t units;  ///< rows, or slots, at most
  bool shared;    ///< several tiles may meet at a row
};

/// Rows that one launch brings up to date. By value: the host's lists are gone when the kernel
/// runs.
struct AdamReads {
  ReadList lists[kMaxReads];
  int64_t units;  ///< of all lists
};

/// The updates that a row has missed: numbers first .. last, none if first > last.
struct MissedUpdates {
  int64_t first, last;
};

/// Claims the row's missed updates for this tile; none if another tile already has.
__device__ __forceinline__ MissedUpdates claim(const WarpTile& tile, uint32_t& applied, bool shared,
                                               int64_t now) {
  const auto latest = static_cast<uint32_t>(now);
  uint32_t before = latest;
  if (tile.thread_rank() == 0) {
    if (shared) {
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

/// The missed updates of kParts * kLaneWidth columns a lane, from `first` on. The row has columns
/// in each part.
template <int kParts>
__device__ __forceinline__ void catch_up_columns(const WarpTile& tile, const AdamRows& table,
                                                 int64_t row, int64_t first, MissedUpdates missed,
                                                 const AdamFactors& factors,
                                                 const AdamHistory& history) {
  const int64_t column = first + tile.thread_rank() * kLaneWidth;
  const int64_t count = table.value.cols - column;
  float* __restrict__ value = table.value.row(row) + column;
  float* __restrict__ first_moment = table.first_moment.row(row) + column;
  float* __restrict__ second_moment = table.second_moment.row(row) + column;
  float* __restrict__ gradient = table.gradient.row(row) + column;

  // Only the last part may be shorter than the lanes.
  const auto in_part = [&](int j) { return j + 1 < kParts ? kLaneWidth : count - j * kRowPart; };

  LaneFloats p[kParts], m[kParts], v[kParts];
  const AdamCorrections corrections = history.corrections[history.position_of(missed.first)];
  for (int j = 0; j < kParts; ++j) {
    p[j] = load_lanes(value + j * kRowPart, in_part(j));
    m[j] = load_lanes(first_moment + j * kRowPart, in_part(j));
    v[j] = load_lanes(second_moment + j * kRowPart, in_part(j));
    const LaneFloats g = load_lanes(gradient + j * kRowPart, in_part(j));
    adam_update(p[j], m[j], v[j], g, factors, corrections);
  }
  for (int64_t t = missed.first + 1; t <= missed.last; ++t) {
    const AdamCorrections later = history.corrections[history.position_of(t)];
    for (int j = 0; j < kParts; ++j) {
      adam_update(p[j], m[j], v[j], spread(0.0f), factors, later);
    }
  }
  for (int j = 0; j < kParts; ++j) {
    store_lanes(value + j * kRowPart, p[j], in_part(j));
    store_lanes(first_moment + j * kRowPart, m[j], in_part(j));
    store_lanes(second_moment + j * kRowPart, v[j], in_part(j));
    store_lanes(gradient + j * kRowPart, spread(0.0f), in_part(j));
  }
}

/// The missed updates of up to kParts parts of a row, from column `first` on.
template <int kParts = kMaxParts>
__device__ __forceinline__ void catch_up_parts(int64_t parts, const WarpTile& tile,
                                               const AdamRows& table, int64_t row, int64_t first,
                                               MissedUpdates missed, const AdamFactors& factors,
                                               const AdamHistory& history) {
  if constexpr (kParts > 1) {
    if (parts < kParts) {
      return catch_up_parts<kParts - 1>(parts, tile, table, row, first, missed, factors, history);
    }
  }
  catch_up_columns<kParts>(tile, table, row, first, missed, factors, history);
}

/// Row that unit i of a list stands for, or -1.
__device__ __forceinline__ int64_t row_to_read(const AdamRead& read, int64_t i, int64_t now) {
  if (read.turns == 0) return row_of_unit(read.rows, read.samples, i);
  const int64_t row = i * read.turns + now % read.turns;
  return row < read.table.value.rows ? row : -1;
}

__global__ void adam_catch_up_kernel(const __grid_constant__ AdamReads reads, AdamFactors factors,
                                     AdamHistory history) {
  const WarpTile tile = warp_tile();
  const int64_t now = *history.steps;
  for (const int64_t unit : units_of(tile, reads.units)) {
    const ReadList* list = reads.lists;
    int64_t i = unit;
    for (; i >= list->units; ++list) i -= list->units;
    const AdamRead& read = list->read;
    const int64_t row = row_to_read(read, i, now);
    if (row < 0) continue;
    const MissedUpdates missed = claim(tile, read.table.applied[row], list->shared, now);
    if (missed.first > missed.last) continue;
    const int64_t cols = read.table.value.cols;
    for (int64_t first = 0; first < cols; first += kMaxParts * kRowPart) {
      catch_up_parts((cols - first + kRowPart - 1) / kRowPart, tile, read.table, row, first, missed,
                     factors, history);
    }
  }
}

/// True for all rows of the table.
bool is_whole(const AdamRead& read) { return read.turns == 0 && read.rows.batch == nullptr; }

/// A list that is longer than its table becomes all rows of the table: in order, and a row that is
/// not needed now only catches up early.
ReadList make_list(AdamRead read) {
  const int64_t rows = read.table.value.rows;
  if (read.turns > 0) return {read, (rows + read.turns - 1) / read.turns, false};
  const int64_t units = row_list_units(read.rows, read.samples, rows);
  if (units < rows) return {read, units, read.samples.data != nullptr};
  read.rows.batch = nullptr;
  read.samples = {};
  return {read, rows, false};
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

// The longest tile takes time in proportion to turns, the bytes of the rows whose turn it is in
// proportion to rows / turns. With the bytes of the rows that the batch reads, both take equally
// long near turns^2 = rows / 128, by the rates of an H200 (bench/README.md).
int64_t adam_turns(int64_t rows) {
  if (kTileLanes == 1) return 0;
  return std::max<int64_t>(12, static_cast<int64_t>(std::sqrt(static_cast<double>(rows) / 128)));
}

void adam_catch_up(std::span<const AdamRead> reads, AdamOptions options, AdamHistory history,
                   const Stream& stream) {
  constexpr int64_t kOperations = 16;
  require_ring("adam_catch_up", history);
  std::vector<ReadList> lists;
  for (const AdamRead& read : reads) {
    check_table(read.table);
    ReadList list = make_list(read);
    if (list.units == 0) continue;
    const auto of_table = [&](const ReadList& other) {
      return other.read.table.applied.data == read.table.applied.data;
    };
    const auto covers = [&](const ReadList& other) {
      return of_table(other) && is_whole(other.read);
    };
    if (std::any_of(lists.begin(), lists.end(), covers)) continue;
    if (is_whole(list.read)) std::erase_if(lists, of_table);
    for (ReadList& other : lists) {
      if (of_table(other)) other.shared = list.shared = true;
    }
    lists.push_back(list);
  }
  for (size_t first = 0; first < lists.size(); first += kMaxReads) {
    const auto together =
        std::span(lists).subspan(first).first(std::min<size_t>(kMaxReads, lists.size() - first));
    AdamReads all{};
    int64_t cols = 0;
    std::copy(together.begin(), together.end(), all.lists);
    for (const ReadList& list : together) {
      all.units += list.units;
      cols = std::max(cols, list.read.table.value.cols);
    }
    launch("adam_catch_up", tiles_for(all.units, kOperations * cols), stream, adam_catch_up_kernel,
           all, adam_factors(options), history);
  }
}

}  // namespace derrd
