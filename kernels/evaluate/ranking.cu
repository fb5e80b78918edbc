// Ranking all items for a tile of users: the teacher's top list (DE-RRD, section 4.2), the
// recommendations of a model, and ranks among all items.
//
// Shapes: scores [users, I], row-major; users is a tile of all users, so users x items never lies
// in memory. Lists [users, R].
//
// select_top is a radix select. A score becomes a 32-bit key that falls as the score rises:
//   key = ~bits with the sign set (positive), bits (negative);  NaN -> 0, -0 -> that of +0
// so that +infinity and NaN are the smallest keys and -infinity (masked) the largest of all
// numbers. From the high bits down, a histogram of the next 11 bits of the keys that share the
// prefix so far tells in which bin the R-th key lies; it ends as soon as a bin is wanted as a
// whole, which after 22 bits it nearly always is. If the last key is tied, the tied items are
// counted in order of their numbers. A last pass collects.
//
// Threads: a block per row where all scores of one are read (a tile of users has few rows), a tile
// per row else. The histogram is in the block's shared memory.
//
// Bytes: scores once per pass, 3 passes as a rule; after the first they come from a cache. The
// limit is the rate of histogram increments.
//
// Trap: -infinity of an overflow looks masked, so finite_rows goes first.

#include "kernels/evaluate/ranking.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr uint32_t kSign = 0x80000000u;
/// Keys of numbers that are not finite; none lies between NaN's and +infinity's.
constexpr uint32_t kNanKey = 0;
constexpr uint32_t kPlusInfinityKey = 0x007fffffu;
constexpr uint32_t kMaskedKey = 0xff800000u;
constexpr uint32_t kHighestKey = kPlusInfinityKey + 1;

constexpr int kDigitBits = 11;
constexpr int kBins = 1 << kDigitBits;
constexpr int kKeyBits = 32;
/// Elements that a thread reads at once: independent loads, and on the CPU a loop that GCC
/// vectorises (one of 16 it unrolls instead). At most the bits of a word.
constexpr int kAtOnce = 32;

/// Rises as the score falls.
__device__ __forceinline__ uint32_t falling_key(float score) {
  uint32_t bits;
  memcpy(&bits, &score, sizeof bits);
  if (bits == kSign) bits = 0;
  const uint32_t key = (bits & kSign) != 0 ? bits : ~(bits | kSign);
  return std::isnan(score) ? kNanKey : key;
}

/// Inverse of falling_key on numbers.
__device__ __forceinline__ float score_of(uint32_t key) {
  const uint32_t bits = (key & kSign) != 0 ? key : ~(key | kSign);
  float score;
  memcpy(&score, &bits, sizeof score);
  return score;
}

using Total = SharedArray<uint32_t, 1>;

/// Sum of the threads' values; all threads of the block call it.
__device__ __forceinline__ uint32_t block_sum(const cg::thread_block& block, const WarpTile& tile,
                                              Total& total, uint32_t value) {
  if (block.thread_rank() == 0) total[0] = 0;
  block.sync();
  value = cg::reduce(tile, value, cg::plus<uint32_t>());
  if (tile.thread_rank() == 0) atomic_add(total[0], value);
  block.sync();
  const uint32_t sum = total[0];
  block.sync();  // before the next sum
  return sum;
}

__global__ void finite_rows_kernel(Vector<int32_t> finite, Matrix<const float> scores) {
  __shared__ Total total;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(block, scores.rows)) {
    const float* __restrict__ row = scores.row(r);
    uint32_t bad = 0;
    for (int64_t i = block.thread_rank(); i < scores.cols; i += block.size()) {
      bad |= fabsf(row[i]) < kInfinity ? 0 : 1;
    }
    bad = block_sum(block, tile, total, bad);
    if (block.thread_rank() == 0) finite[r] = bad == 0 ? 1 : 0;
  }
}

__global__ void mask_items_kernel(Matrix<float> scores, SparseRows observed, int64_t first_user) {
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(tile, scores.rows)) {
    float* row = scores.row(r);
    const int64_t end = observed.offsets[first_user + r + 1];
    for (int64_t e = observed.offsets[first_user + r] + tile.thread_rank(); e < end;
         e += tile.size()) {
      row[observed.items[e]] = -kInfinity;
    }
  }
}

/// Where the wanted-th key is: in `bin`, behind `before` keys of lower bins, among `inside`.
struct Digit {
  uint32_t bin, before, inside;
};

using Histogram = SharedArray<uint32_t, kBins>;
using Choice = SharedArray<Digit, 1>;

/// Finds the wanted-th key's digit; only the first tile calls it.
/// @param wanted counts from 1, at most the sum of the histogram.
__device__ __forceinline__ void find_digit(const WarpTile& tile, Choice& choice,
                                           const Histogram& histogram, uint32_t wanted) {
  uint32_t seen = 0;
  for (uint32_t first = 0; first < kBins && seen < wanted; first += tile.size()) {
    const uint32_t bin = first + tile.thread_rank();
    const uint32_t inside = histogram[bin];
    const uint32_t before = seen + cg::exclusive_scan(tile, inside);
    if (before < wanted && wanted <= before + inside) choice[0] = Digit{bin, before, inside};
    seen += cg::reduce(tile, inside, cg::plus<uint32_t>());
  }
}

/// Number of the wanted-th item, counted from 1, that has the key `key`, in all lanes. Only the
/// first tile calls it.
__device__ __forceinline__ uint32_t find_tied(const WarpTile& tile, const float* __restrict__ row,
                                              int64_t items, uint32_t key, uint32_t wanted) {
  uint32_t seen = 0;
  uint32_t found = 0;
  for (int64_t first = 0; first < items && seen < wanted; first += tile.size()) {
    const int64_t i = first + tile.thread_rank();
    const uint32_t tied = i < items && falling_key(row[i]) == key ? 1 : 0;
    const uint32_t before = seen + cg::exclusive_scan(tile, tied);
    if (tied == 1 && before + 1 == wanted) found = static_cast<uint32_t>(i);
    seen += cg::reduce(tile, tied, cg::plus<uint32_t>());
  }
  return cg::reduce(tile, found, cg::greater<uint32_t>());
}

/// Calls visit(key, item) for the items of a row whose key lies in [first_key, last_key], keys of
/// numbers. Most chunks hold none of them, which comparing scores tells the CPU in one vector
/// instruction; because of -0 the keys decide.
template <class Visit>
__device__ __forceinline__ void visit_keys(const cg::thread_block& block,
                                           const float* __restrict__ row, int64_t items,
                                           uint32_t first_key, uint32_t last_key,
                                           const Visit& visit) {
  const float highest = score_of(first_key);
  const float lowest = score_of(last_key);
  const auto visit_if = [&](int64_t i) {
    const uint32_t key = falling_key(row[i]);
    if (first_key <= key && key <= last_key) visit(key, static_cast<uint32_t>(i));
  };
  const int64_t stride = block.size();
  int64_t i = block.thread_rank();
  for (; i + (kAtOnce - 1) * stride < items; i += kAtOnce * stride) {
    uint32_t hits = 0;
    for (int j = 0; j < kAtOnce; ++j) {
      const float score = row[i + j * stride];
      hits |= ((score >= lowest ? 1u : 0u) & (score <= highest ? 1u : 0u)) << j;
    }
    for (int64_t item = i; hits != 0; hits >>= 1, item += stride) {
      if ((hits & 1u) != 0) visit_if(item);
    }
  }
  for (; i < items; i += stride) visit_if(i);
}

/// Counts the highest digits of all keys of a row.
__device__ __forceinline__ void count_first_digits(const cg::thread_block& block,
                                                   Histogram& histogram,
                                                   const float* __restrict__ row, int64_t items) {
  constexpr int kShift = kKeyBits - kDigitBits;
  const int64_t stride = block.size();
  int64_t i = block.thread_rank();
  for (; i + (kAtOnce - 1) * stride < items; i += kAtOnce * stride) {
    uint32_t digits[kAtOnce];
    for (int j = 0; j < kAtOnce; ++j) digits[j] = falling_key(row[i + j * stride]) >> kShift;
    for (int j = 0; j < kAtOnce; ++j) atomic_add(histogram[digits[j]], 1u);
  }
  for (; i < items; i += stride) atomic_add(histogram[falling_key(row[i]) >> kShift], 1u);
}

__device__ __forceinline__ void clear(const cg::thread_block& block, Histogram& histogram) {
  for (int64_t b = block.thread_rank(); b < kBins; b += block.size()) histogram[b] = 0;
}

__global__ void select_top_kernel(SortBuffers unsorted, Matrix<const float> scores,
                                  Vector<int32_t> status, int64_t r, int value_bits) {
  __shared__ Histogram histogram;
  __shared__ Choice choice;
  __shared__ SharedArray<uint32_t, 1> tied_item;
  __shared__ SharedArray<uint32_t, 1> filled;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  const int64_t items = scores.cols;

  for (const int64_t u : units_of(block, scores.rows)) {
    const float* row = scores.row(u);
    const uint64_t row_key = static_cast<uint64_t>(u) << value_bits;

    clear(block, histogram);
    if (block.thread_rank() == 0) filled[0] = 0;
    block.sync();
    count_first_digits(block, histogram, row, items);
    block.sync();
    int shift = kKeyBits - kDigitBits;
    const bool bad = histogram[kNanKey >> shift] + histogram[kPlusInfinityKey >> shift] > 0;
    const int64_t unmasked = items - histogram[kMaskedKey >> shift];
    const uint32_t selected = bad ? 0 : static_cast<uint32_t>(unmasked < r ? unmasked : r);

    if (selected > 0) {
      // The keys wanted are those below first_key and, of those in [first_key, last_key], `wanted`.
      uint32_t wanted = selected;
      uint32_t first_key = 0;
      uint32_t last_key = 0;
      for (;;) {
        if (tile.meta_group_rank() == 0) find_digit(tile, choice, histogram, wanted);
        block.sync();
        const Digit digit = choice[0];
        first_key |= digit.bin << shift;
        last_key = first_key + ((1u << shift) - 1);
        wanted -= digit.before;
        if (wanted == digit.inside || shift == 0) {
          wanted = wanted == digit.inside ? 0 : wanted;
          break;
        }
        const int next = shift < kDigitBits ? 0 : shift - kDigitBits;
        const uint32_t digit_mask = (1u << (shift - next)) - 1;
        clear(block, histogram);
        block.sync();
        visit_keys(block, row, items, first_key, last_key, [&](uint32_t key, uint32_t) {
          atomic_add(histogram[key >> next & digit_mask], 1u);
        });
        block.sync();
        shift = next;
      }

      // wanted > 0: more items share the last key than there is room for; the lower numbers win.
      uint32_t last_tied = ~0u;
      if (wanted > 0) {
        if (tile.meta_group_rank() == 0) {
          const uint32_t item = find_tied(tile, row, items, last_key, wanted);
          if (tile.thread_rank() == 0) tied_item[0] = item;
        }
        block.sync();
        last_tied = tied_item[0];
      }
      visit_keys(block, row, items, kHighestKey, last_key, [&](uint32_t key, uint32_t item) {
        if (key == last_key && item > last_tied) return;
        const int64_t slot = u * r + atomic_add(filled[0], 1u);
        unsorted.keys[slot] =
            row_key | static_cast<uint64_t>(key) << (value_bits - kKeyBits) | item;
        unsorted.values[slot] = item;
      });
    }

    for (int64_t k = selected + block.thread_rank(); k < r; k += block.size()) {
      unsorted.keys[u * r + k] = row_key | ((uint64_t{1} << value_bits) - 1);
      unsorted.values[u * r + k] = ~0u;
    }
    if (block.thread_rank() == 0) status[u] = bad ? -1 : static_cast<int32_t>(selected);
    block.sync();
  }
}

__global__ void write_top_kernel(Matrix<int32_t> items, Matrix<float> scores_out,
                                 Vector<const uint32_t> sorted, Matrix<const float> scores) {
  const WarpTile tile = warp_tile();
  for (const int64_t u : units_of(tile, items.rows)) {
    int32_t* item_row = items.row(u);
    for (int64_t k = tile.thread_rank(); k < items.cols; k += tile.size()) {
      const int32_t item = static_cast<int32_t>(sorted[u * items.cols + k]);
      item_row[k] = item;
      if (scores_out.data != nullptr) {
        scores_out.row(u)[k] = item < 0 ? -kInfinity : scores.row(u)[item];
      }
    }
  }
}

__global__ void full_ranks_kernel(Vector<int32_t> rank, Matrix<const float> masked_scores,
                                  SparseRows relevant, int64_t first_user) {
  __shared__ Total total;
  const cg::thread_block block = cg::this_thread_block();
  const WarpTile tile = warp_tile();
  for (const int64_t r : units_of(block, masked_scores.rows)) {
    const float* __restrict__ row = masked_scores.row(r);
    const int64_t end = relevant.offsets[first_user + r + 1];
    for (int64_t e = relevant.offsets[first_user + r]; e < end; ++e) {
      const float score = row[relevant.items[e]];
      uint32_t not_lower = 0;  // the item itself among them
      uint32_t bad = 0;
      for (int64_t i = block.thread_rank(); i < masked_scores.cols; i += block.size()) {
        not_lower += row[i] >= score ? 1 : 0;
        bad |= row[i] < kInfinity ? 0 : 1;
      }
      not_lower = block_sum(block, tile, total, not_lower);
      bad = block_sum(block, tile, total, bad);
      if (block.thread_rank() == 0) {
        rank[e] = bad == 0 && score > -kInfinity ? static_cast<int32_t>(not_lower) : -1;
      }
    }
  }
}

void require_users(const char* operation, const char* name, int64_t size, int64_t first_user,
                   int64_t users) {
  if (first_user >= 0 && first_user + users <= size) return;
  throw std::invalid_argument(std::string(operation) + ": " + name + " has " +
                              std::to_string(size) + " users, users " + std::to_string(first_user) +
                              " to " + std::to_string(first_user + users) + " are asked for");
}

}  // namespace

void finite_rows(Vector<int32_t> finite, Matrix<const float> scores, const Stream& stream) {
  require_size("finite_rows", "finite", finite, scores.rows);
  if (scores.rows == 0) return;
  launch("finite_rows", blocks_for(scores.rows, scores.cols), stream, finite_rows_kernel, finite,
         scores);
}

void mask_items(Matrix<float> scores, SparseRows observed, int64_t first_user,
                const Stream& stream) {
  require_users("mask_items", "observed", observed.offsets.size - 1, first_user, scores.rows);
  if (scores.size() == 0) return;
  constexpr int64_t kItemsPerUser = 32;
  launch("mask_items", tiles_for(scores.rows, kItemsPerUser), stream, mask_items_kernel, scores,
         observed, first_user);
}

void select_top(SortBuffers unsorted, Matrix<const float> scores, Vector<int32_t> status, int64_t r,
                const Stream& stream) {
  if (r < 0 || scores.cols > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument("select_top: " + std::to_string(r) + " of " +
                                std::to_string(scores.cols) + " items cannot be selected");
  }
  require_size("select_top", "keys", unsorted.keys, scores.rows * r);
  require_size("select_top", "values", unsorted.values, scores.rows * r);
  require_size("select_top", "status", status, scores.rows);
  if (scores.rows > most_top_users(scores.cols)) {
    throw std::invalid_argument("select_top: keys for " + std::to_string(scores.rows) +
                                " users and " + std::to_string(scores.cols) +
                                " items do not fit into 64 bits");
  }
  if (scores.rows == 0) return;
  launch("select_top", blocks_for(scores.rows, 2 * scores.cols), stream, select_top_kernel,
         unsorted, scores, status, r, top_value_bits(scores.cols));
}

void write_top(Matrix<int32_t> items, Matrix<float> scores_out, Vector<const uint32_t> sorted,
               Matrix<const float> scores, const Stream& stream) {
  if (scores_out.data != nullptr) {
    require_shape("write_top", "scores_out", scores_out, items.rows, items.cols);
  }
  require_size("write_top", "sorted", sorted, items.size());
  require_shape("write_top", "scores", scores, items.rows, scores.cols);
  if (items.size() == 0) return;
  launch("write_top", tiles_for(items.rows, items.cols), stream, write_top_kernel, items,
         scores_out, sorted, scores);
}

void full_ranks(Vector<int32_t> rank, Matrix<const float> masked_scores, SparseRows relevant,
                int64_t first_user, const Stream& stream) {
  require_size("full_ranks", "relevant", relevant.items, rank.size);
  require_users("full_ranks", "relevant", relevant.offsets.size - 1, first_user,
                masked_scores.rows);
  if (masked_scores.size() == 0) return;
  launch("full_ranks", blocks_for(masked_scores.rows, masked_scores.cols), stream,
         full_ranks_kernel, rank, masked_scores, relevant, first_user);
}

}  // namespace derrd
