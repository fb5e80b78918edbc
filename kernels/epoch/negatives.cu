// Uniform draws from the items that a user's row does not hold, without rejection.
//
// The row's entries x_0 < x_1 < ... leave m = items - degree items. The t-th of these (from 0) is
// t + c, where c entries lie before it; entry j does if x_j - j <= t, and x_j - j never falls, so a
// binary search finds c. One draw below m, one search: no loop whose length is random, and a user
// who has all items but one is served as fast as any other.
//
// L distinct ranks come from Floyd's algorithm (Bentley and Floyd 1987): for j = m - L .. m - 1
// draw t in 0..j and take it, or j if t is taken already. Every subset is equally likely. The draws
// are independent, so the lanes of a user's tile make them at once; the steps that compare them
// with what is taken follow one another, the comparisons of a step side by side.
//
// Shapes: users, negatives [n], samples [U, K + L]; a thread a negative, a tile a user. Bytes: a
// sample reads its user and log2(degree) entries; latency is the limit, not bandwidth.

#include "kernels/epoch/negatives.h"

#include <stdexcept>
#include <string>

#include "kernels/common/random.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

/// The t-th item that `row` does not hold.
__device__ __forceinline__ int64_t unobserved_item(const int32_t* __restrict__ row, int64_t degree,
                                                   int64_t t) {
  // Halves a range [low, low + length] of counts without a branch on data.
  int64_t low = 0;
  int64_t length = degree;
  while (length > 0) {
    const int64_t half = (length + 1) / 2;
    const int64_t j = low + half - 1;
    low = row[j] - j <= t ? low + half : low;
    length -= half;
  }
  return t + low;
}

__global__ void sample_negatives_kernel(Vector<int32_t> negatives, Vector<const int32_t> users,
                                        SparseRows observed, int64_t items, RandomKey key) {
  const int64_t per_user = negatives.size / users.size;
  for (const int64_t sample : units_of(SingleThread{}, negatives.size)) {
    const int64_t user = users[sample / per_user];
    const int64_t begin = observed.offsets[user];
    const int64_t degree = observed.offsets[user + 1] - begin;
    const Philox4 bits = random_bits(key, static_cast<uint64_t>(sample));
    const int64_t t = uniform_below(bits.x, bits.y, items - degree);
    negatives[sample] =
        static_cast<int32_t>(unobserved_item(observed.items.data + begin, degree, t));
  }
}

__global__ void sample_uninteresting_kernel(Matrix<int32_t> samples, int64_t first_column,
                                            SparseRows excluded, int64_t items, RandomKey key) {
  __shared__ SharedArray<int32_t, kBlockTiles * kMaxUninteresting> draws;
  __shared__ SharedArray<int32_t, kBlockTiles * kMaxUninteresting> taken;
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const int64_t mine = tile.meta_group_rank() * kMaxUninteresting;  // this tile's part of both
  const int64_t wanted = samples.cols - first_column;
  for (const int64_t user : units_of(tile, samples.rows)) {
    const int64_t begin = excluded.offsets[user];
    const int64_t degree = excluded.offsets[user + 1] - begin;
    const int32_t* __restrict__ row = excluded.items.data + begin;
    int32_t* __restrict__ out = samples.row(user) + first_column;
    const int64_t available = items - degree;
    const int64_t drawn = wanted < available ? wanted : available;
    const int64_t first = available - drawn;  // Floyd's j of step 0
    // 64 bits a draw: a Philox call serves two steps.
    for (int64_t pair = lane; pair * 2 < drawn; pair += lanes) {
      const Philox4 bits =
          random_bits(key, static_cast<uint64_t>(user), static_cast<uint32_t>(pair));
      const int64_t step = pair * 2;
      draws[mine + step] = static_cast<int32_t>(uniform_below(bits.x, bits.y, first + step + 1));
      if (step + 1 < drawn) {
        draws[mine + step + 1] =
            static_cast<int32_t>(uniform_below(bits.z, bits.w, first + step + 2));
      }
    }
    tile.sync();
    if (first == 0) {  // all that there are
      for (int64_t step = lane; step < drawn; step += lanes) {
        taken[mine + step] = static_cast<int32_t>(step);
      }
    } else {
      for (int64_t step = 0; step < drawn; ++step) {
        const int32_t rank = draws[mine + step];
        int equal = 0;
        for (int64_t i = lane; i < step; i += lanes) equal |= taken[mine + i] == rank ? 1 : 0;
        const bool collides = tile.any(equal != 0);
        if (lane == 0) taken[mine + step] = collides ? static_cast<int32_t>(first + step) : rank;
        tile.sync();
      }
    }
    tile.sync();
    for (int64_t step = lane; step < wanted; step += lanes) {
      out[step] = step < drawn
                      ? static_cast<int32_t>(unobserved_item(row, degree, taken[mine + step]))
                      : -1;
    }
    tile.sync();  // before the next user's draws
  }
}

void check_items(const char* operation, int64_t items) {
  if (items < 0 || items > INT32_MAX) {
    throw std::invalid_argument(std::string(operation) + ": " + std::to_string(items) + " items");
  }
}

}  // namespace

void sample_negatives(Vector<int32_t> negatives, Vector<const int32_t> users, SparseRows observed,
                      int64_t items, RandomKey key, const Stream& stream) {
  const int64_t per_user = users.size == 0 ? 0 : negatives.size / users.size;
  require_size("sample_negatives", "negatives", negatives, users.size * per_user);
  check_items("sample_negatives", items);
  if (negatives.size == 0) return;
  constexpr int64_t kOperations = 100;  // ten rounds of Philox and a short search
  launch("sample_negatives", threads_for(negatives.size, kOperations), stream,
         sample_negatives_kernel, negatives, users, observed, items, key);
}

void sample_uninteresting(Matrix<int32_t> samples, int64_t first_column, SparseRows excluded,
                          int64_t items, RandomKey key, const Stream& stream) {
  constexpr const char* kName = "sample_uninteresting";
  const int64_t wanted = samples.cols - first_column;
  require_size(kName, "row offsets", excluded.offsets, samples.rows + 1);
  check_items(kName, items);
  if (first_column < 0 || wanted < 0 || wanted > kMaxUninteresting) {
    throw std::invalid_argument(std::string(kName) + ": columns from " +
                                std::to_string(first_column) + " on of " +
                                std::to_string(samples.cols) + "; at most " +
                                std::to_string(kMaxUninteresting) + " can be drawn");
  }
  if (samples.rows == 0 || wanted == 0) return;
  constexpr int64_t kOperations = 100;
  launch(kName, tiles_for(samples.rows, wanted * kOperations), stream, sample_uninteresting_kernel,
         samples, first_column, excluded, items, key);
}

}  // namespace derrd
