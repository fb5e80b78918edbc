// Level 5: a lane per user again, but the warp fetches the rows.
//
// The idea: a scan of 32 steps takes 5 rounds of 32 compositions where a walk takes 32, and a
// shuffle for each number composed. Level 3's walk is the cheapest way through a row if no lane
// idles meanwhile. So a warp fills its shared memory with users, 18 with 80 slots, and each lane
// walks a row of its own: 18 users cost the instructions that level 3 spends on one. What needs no
// order (fetching, exponentials, storing) goes row by row with all lanes, so that memory is read
// and written in adjacent words, as since level 2. Rows lie an odd number of words apart: lanes in
// the same column of different rows find it in different banks.
//
// On an H200, 1e5 users with K = L = 40, instructions for 18 users: 1,600 to fetch, 3,150 for the
// exponentials, 2,500 for the walks, 1,500 to store: 490 a user instead of 1,060, and no shuffle.
// 4.9e7 of a warp's at 1.05e12 a second are 47 us, beside 22 us for 12 bytes a slot.
// Predicted: 0.05 ms, half of level 4. 64 registers, 48 kB of shared memory, each allowing 32
// warps on a multiprocessor.
//
// The price: 850 users make 48 warps in 6 blocks, for 132 multiprocessors. Such a batch waits for
// one walk, not for instructions, and level 4 has it done sooner.

#include <algorithm>

#include "bench/ladders/relaxed_ranking/arguments.h"
#include "bench/ladders/relaxed_ranking/choices.h"
#include "bench/ladders/relaxed_ranking/levels.h"
#include "kernels/common/tile_part.h"

namespace derrd::ladder {

namespace {

constexpr int64_t kTileFloats = 1536;  // 6 kB; the 8 tiles of a CUDA block: all its 48 kB
constexpr int64_t kMaxGroup = 32;      // with more, a warp's lanes would walk twice

/// Layout of a tile's shared memory: the rows of the users that it works on at once.
struct Layout {
  int64_t pitch;  ///< words from row to row, more than a row's slots; odd, for the banks
  int64_t group;  ///< users at once

  explicit Layout(int64_t slots)
      : pitch((slots + 1) | 1), group(std::min(kMaxGroup, kTileFloats / pitch)) {}
};
static_assert(kTileFloats > kMaxRankingSamples + 1);

/// Row `begin / pitch` of a tile's part.
template <class Part>
struct RowPart {
  const Part& part;
  int64_t begin;
  __device__ decltype(auto) operator[](int64_t i) const { return part[begin + i]; }
};

__global__ void lane_per_user_kernel(Arguments a, Layout layout, int64_t groups) {
  __shared__ SharedArray<float, kBlockTiles * kTileFloats> shared_rows;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const auto part = part_of(tile, shared_rows);
  using Row = RowPart<decltype(part)>;
  const auto row_of = [&](int64_t n) { return Row{part, n * layout.pitch}; };
  const int64_t users = a.users();
  const int64_t slots = a.slots();
  const int64_t interesting = a.call.interesting;
  const float share = a.share();
  const float factor = a.call.scale * share;

  for (const int64_t unit : units_of(tile, groups)) {
    const int64_t first = unit * layout.group;
    const int64_t end = first + layout.group < a.loss.size ? first + layout.group : a.loss.size;
    const int64_t live = (end < users ? end : users) - first;  // may be negative
    for (int64_t user = first + lane; user < end; user += lanes) a.loss[user] = 0.0f;

    // The warp fetches row after row.
    for (int64_t n = 0; n < live; ++n) {
      const UserRows rows = a.rows_of(first + n);
      const Row row = row_of(n);
      for (int64_t slot = lane; slot < slots; slot += lanes) row[slot] = rows.score_or_absent(slot);
    }
    tile.sync();

    // A lane walks its own row.
    for (int64_t n = lane; n < live; n += lanes) {
      const Row row = row_of(n);
      float peak = kAbsent;
      for (int64_t j = interesting; j < slots; ++j) peak = row[j] > peak ? row[j] : peak;
      row[slots] = peak;
      a.loss[first + n] = walk_gaps(row, interesting, peak);
    }
    tile.sync();

    // The exponentials need no order, so the warp takes row after row.
    for (int64_t n = 0; n < live; ++n) {
      const Row row = row_of(n);
      const float peak = row[slots];
      for (int64_t k = lane; k < interesting; k += lanes) row[k] = signed_exponential(row[k]);
      for (int64_t j = interesting + lane; j < slots; j += lanes) {
        row[j] = uninteresting_term(row[j], peak);
      }
    }
    tile.sync();

    for (int64_t n = lane; n < live; n += lanes) {
      const Row row = row_of(n);
      float sum = 0.0f;
      for (int64_t j = interesting; j < slots; ++j) sum += row[j];
      a.loss[first + n] = (a.loss[first + n] + walk_choices(row, interesting, sum)) * share;
      const float left = walk_masses(row, interesting);
      row[slots] = sum > 0.0f ? left / sum * factor : 0.0f;
    }
    tile.sync();

    for (int64_t n = 0; n < live; ++n) {
      const UserRows rows = a.rows_of(first + n);
      const Row row = row_of(n);
      const float tail = row[slots];
      for (int64_t slot = lane; slot < slots; slot += lanes) {
        rows.grad[slot] = row[slot] * (slot < interesting ? factor : tail);
      }
    }
    // No barrier: a lane fetches the next users' scores into the slots that it stored from.
  }
}

}  // namespace

void lane_per_user(Vector<float> loss, Matrix<float> grad_score, const RelaxedRankingCall& call,
                   const Stream& stream) {
  constexpr const char* kName = "lane_per_user";
  const Arguments a = {loss, grad_score, call};
  require_valid(kName, a);
  if (loss.size == 0) return;
  constexpr int64_t kOperationsPerScore = 30;
  const Layout layout(a.slots());
  const int64_t groups = (loss.size + layout.group - 1) / layout.group;
  launch(kName, tiles_for(groups, layout.group * a.slots() * kOperationsPerScore), stream,
         lane_per_user_kernel, a, layout, groups);
}

}  // namespace derrd::ladder
