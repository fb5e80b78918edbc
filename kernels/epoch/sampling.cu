// Which items Relaxed Ranking Distillation looks at (DE-RRD, section 4.2.1).
//
// Interesting items: K of the teacher's list without replacement, the k-th with weight e^{-k/t}.
// Drawing them one after the other is the same as keeping the K largest of -k/t + g_k with
// independent Gumbel noise g_k (Yellott 1977; Efraimidis and Spirakis 2006), and a sort keeps them
// for all users at once. With g = -log(-log u), the order is that of log(-log u) + k/t, ascending:
// no weight is ever formed, so none underflows, however long the list.
//
// Floats are sorted as integers: the bits of a positive float ascend with it; those of a negative
// one, all inverted, too.
//
// Mapping: a tile a user, lanes striding over its list; one Philox call serves four positions.
// Bytes: keys 16 R a user, written once; the sort moves them several times and is the larger part.

#include "kernels/epoch/sampling.h"

#include <stdexcept>
#include <string>

#include "kernels/common/elementary.h"
#include "kernels/common/random.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr int64_t kPositionsPerDraw = 4;

/// Unsigned integers in the order of the floats.
__device__ __forceinline__ uint32_t ordered_bits(float value) {
  const auto bits = static_cast<uint32_t>(bits_of_float(value));
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__global__ void interesting_keys_kernel(SortBuffers out, Matrix<const int32_t> lists, float t,
                                        RandomKey key) {
  const WarpTile tile = warp_tile();
  const int64_t lane = tile.thread_rank();
  const int64_t lanes = tile.size();
  const int64_t length = lists.cols;
  const int64_t draws = (length + kPositionsPerDraw - 1) / kPositionsPerDraw;
  const float inverse_t = 1.0f / t;
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int32_t* __restrict__ list = lists.row(user);
    uint64_t* __restrict__ keys = out.keys.data + user * length;
    // The values' memory holds the random words until the logarithms, a loop that vectorises, have
    // read them.
    uint32_t* words = out.values.data + user * length;
    for (int64_t draw = lane; draw < draws; draw += lanes) {
      const Philox4 bits = random_bits(key, static_cast<uint64_t>(user * draws + draw));
      const int64_t first = draw * kPositionsPerDraw;
      words[first] = bits.x;
      if (first + 1 < length) words[first + 1] = bits.y;
      if (first + 2 < length) words[first + 2] = bits.z;
      if (first + 3 < length) words[first + 3] = bits.w;
    }
    tile.sync();
    uint32_t* __restrict__ values = words;  // from here on each lane keeps to its elements
    for (int64_t position = lane; position < length; position += lanes) {
      const float exponential = -log_vectorized(uniform_open(values[position]));
      const float falling =
          log_vectorized(exponential) + static_cast<float>(position + 1) * inverse_t;
      keys[position] = list[position] >= 0 ? ordered_bits(falling) : ~uint64_t{0};
      values[position] = static_cast<uint32_t>(position);
    }
  }
}

/// The place of a taken position among the first `taken`: the number of them before it; padding
/// stands behind all items.
__device__ __forceinline__ int place_among(const uint32_t* __restrict__ positions, int64_t taken,
                                           uint32_t own) {
  int place = 0;
  for (int64_t j = 0; j < taken; ++j) place += positions[j] < own ? 1 : 0;
  return place;
}

__global__ void interesting_items_kernel(Matrix<int32_t> samples, Vector<int32_t> lowest,
                                         Matrix<const int32_t> lists,
                                         Vector<const uint32_t> sorted_positions, int64_t k) {
  const WarpTile tile = warp_tile();
  const int64_t lanes = tile.size();
  const int64_t taken = k < lists.cols ? k : lists.cols;
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int32_t* __restrict__ list = lists.row(user);
    const uint32_t* __restrict__ positions = sorted_positions.data + user * lists.cols;
    int32_t* __restrict__ row = samples.row(user);
    int present = 0;
    int last = 0;
    for (int64_t i = tile.thread_rank(); i < taken; i += lanes) {
      const uint32_t own = positions[i];
      if (list[own] < 0) continue;  // padding: no collective follows in this loop
      row[place_among(positions, taken, own)] = list[own];
      ++present;
      last = static_cast<int>(own) + 1 > last ? static_cast<int>(own) + 1 : last;
    }
    present = cg::reduce(tile, present, cg::plus<int>());
    last = cg::reduce(tile, last, cg::greater<int>());
    for (int64_t i = present + tile.thread_rank(); i < k; i += lanes) row[i] = -1;
    if (tile.thread_rank() == 0) lowest[user] = last;
  }
}

__global__ void interesting_positions_kernel(Matrix<int32_t> positions, Matrix<const int32_t> lists,
                                             Vector<const uint32_t> sorted_positions) {
  const WarpTile tile = warp_tile();
  const int64_t lanes = tile.size();
  const int64_t k = positions.cols;
  const int64_t taken = k < lists.cols ? k : lists.cols;
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int32_t* __restrict__ list = lists.row(user);
    const uint32_t* __restrict__ sorted = sorted_positions.data + user * lists.cols;
    int32_t* __restrict__ row = positions.row(user);
    int present = 0;
    for (int64_t i = tile.thread_rank(); i < taken; i += lanes) {
      const uint32_t own = sorted[i];
      if (list[own] < 0) continue;  // padding: no collective follows in this loop
      row[place_among(sorted, taken, own)] = static_cast<int32_t>(own);
      ++present;
    }
    present = cg::reduce(tile, present, cg::plus<int>());
    for (int64_t i = present + tile.thread_rank(); i < k; i += lanes) row[i] = -1;
  }
}

template <class T>
__global__ void gather_at_kernel(Matrix<T> out, Matrix<const T> lists,
                                 Matrix<const int32_t> positions, T absent) {
  const WarpTile tile = warp_tile();
  for (const int64_t user : units_of(tile, out.rows)) {
    const T* __restrict__ list = lists.row(user);
    const int32_t* __restrict__ from = positions.row(user);
    T* __restrict__ row = out.row(user);
    for (int64_t i = tile.thread_rank(); i < out.cols; i += tile.size()) {
      row[i] = from[i] >= 0 ? list[from[i]] : absent;
    }
  }
}

__global__ void top_items_kernel(Matrix<int32_t> samples, Vector<int32_t> lowest,
                                 Matrix<const int32_t> lists, int64_t k) {
  const WarpTile tile = warp_tile();
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int32_t* __restrict__ list = lists.row(user);
    int32_t* __restrict__ row = samples.row(user);
    int present = 0;
    for (int64_t i = tile.thread_rank(); i < k; i += tile.size()) {
      row[i] = i < lists.cols ? list[i] : -1;
      present += row[i] >= 0 ? 1 : 0;
    }
    present = cg::reduce(tile, present, cg::plus<int>());
    if (tile.thread_rank() == 0) lowest[user] = present;
  }
}

__global__ void list_lengths_kernel(Vector<int32_t> lengths, Matrix<const int32_t> lists) {
  const WarpTile tile = warp_tile();
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int32_t* __restrict__ list = lists.row(user);
    int present = 0;
    for (int64_t i = tile.thread_rank(); i < lists.cols; i += tile.size()) {
      present += list[i] >= 0 ? 1 : 0;
    }
    present = cg::reduce(tile, present, cg::plus<int>());
    if (tile.thread_rank() == 0) lengths[user] = present;
  }
}

__global__ void exclusion_sizes_kernel(Vector<int64_t> sizes, SparseRows observed,
                                       Vector<const int32_t> list_lengths) {
  for (const int64_t user : units_of(SingleThread{}, sizes.size)) {
    sizes[user] = user + 1 < sizes.size
                      ? observed.offsets[user + 1] - observed.offsets[user] + list_lengths[user]
                      : 0;
  }
}

__global__ void exclusion_keys_kernel(SortBuffers out, Vector<const int64_t> offsets,
                                      SparseRows observed, Matrix<const int32_t> lists,
                                      Vector<const int32_t> list_lengths) {
  const WarpTile tile = warp_tile();
  for (const int64_t user : units_of(tile, lists.rows)) {
    const int64_t first = observed.offsets[user];
    const int64_t degree = observed.offsets[user + 1] - first;
    const int64_t begin = offsets[user];
    const int32_t* __restrict__ items = observed.items.data + first;
    const int32_t* __restrict__ list = lists.row(user);
    uint64_t* __restrict__ keys = out.keys.data + begin;
    uint32_t* __restrict__ values = out.values.data + begin;
    const int64_t length = list_lengths[user];
    for (int64_t i = tile.thread_rank(); i < degree + length; i += tile.size()) {
      const int32_t item = i < degree ? items[i] : list[i - degree];
      keys[i] = static_cast<uint64_t>(item);
      values[i] = static_cast<uint32_t>(item);
    }
  }
}

__global__ void slot_order_keys_kernel(SortBuffers out, Vector<const int32_t> samples,
                                       Vector<const float> scores) {
  for (const int64_t i : units_of(SingleThread{}, samples.size)) {
    // Falling: all bits inverted. Empty slots stand behind 32-bit keys.
    out.keys[i] = samples[i] >= 0 ? ~ordered_bits(scores[i]) : ~uint64_t{0};
    out.values[i] = static_cast<uint32_t>(samples[i]);
  }
}

__global__ void ranking_occurrence_keys_kernel(SortBuffers out, Matrix<const int32_t> samples,
                                               SlotCode code) {
  const WarpTile tile = warp_tile();
  const int64_t slots = samples.cols;
  for (const int64_t user : units_of(tile, samples.rows)) {
    const int32_t* __restrict__ row = samples.row(user);
    uint64_t* __restrict__ keys = out.keys.data + user * slots;
    uint32_t* __restrict__ values = out.values.data + user * slots;
    for (int64_t slot = tile.thread_rank(); slot < slots; slot += tile.size()) {
      keys[slot] = row[slot] >= 0 ? static_cast<uint64_t>(row[slot]) : kNoItemKey;
      values[slot] = code.pack(user, slot);
    }
  }
}

__global__ void row_offsets_kernel(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys) {
  for (const int64_t row : units_of(SingleThread{}, offsets.size)) {
    int64_t low = 0;
    int64_t high = sorted_keys.size;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (sorted_keys[middle] < static_cast<uint64_t>(row)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    offsets[row] = static_cast<int32_t>(low);
  }
}

void check_pairs(const char* operation, SortBuffers out, int64_t pairs) {
  require_size(operation, "keys", out.keys, pairs);
  require_size(operation, "values", out.values, pairs);
}

void check_samples(const char* operation, Matrix<int32_t> samples, Vector<int32_t> lowest,
                   Matrix<const int32_t> lists, int64_t k) {
  require_shape(operation, "samples", samples, lists.rows, samples.cols);
  require_size(operation, "lowest", lowest, lists.rows);
  if (k < 0 || k > samples.cols) {
    throw std::invalid_argument(std::string(operation) + ": " + std::to_string(k) +
                                " items a user into " + std::to_string(samples.cols) + " columns");
  }
}

template <class T>
void launch_gather_at(Matrix<T> out, Matrix<const T> lists, Matrix<const int32_t> positions,
                      T absent, const Stream& stream) {
  require_shape("gather_at", "lists", lists, out.rows, lists.cols);
  require_shape("gather_at", "positions", positions, out.rows, out.cols);
  if (out.size() == 0) return;
  launch("gather_at", tiles_for(out.rows, out.cols), stream, gather_at_kernel<T>, out, lists,
         positions, absent);
}

}  // namespace

void interesting_keys(SortBuffers out, Matrix<const int32_t> lists, float t, RandomKey key,
                      const Stream& stream) {
  check_pairs("interesting_keys", out, lists.size());
  if (!(t > 0.0f)) {
    throw std::invalid_argument("interesting_keys: t is " + std::to_string(t) +
                                ", it must be positive");
  }
  if (lists.size() == 0) return;
  constexpr int64_t kOperations = 50;  // a quarter of Philox's ten rounds, two logarithms
  launch("interesting_keys", tiles_for(lists.rows, lists.cols * kOperations), stream,
         interesting_keys_kernel, out, lists, t, key);
}

void interesting_items(Matrix<int32_t> samples, Vector<int32_t> lowest, Matrix<const int32_t> lists,
                       Vector<const uint32_t> sorted_positions, int64_t k, const Stream& stream) {
  check_samples("interesting_items", samples, lowest, lists, k);
  require_size("interesting_items", "sorted positions", sorted_positions, lists.size());
  if (lists.rows == 0) return;
  launch("interesting_items", tiles_for(lists.rows, k * k / 8 + k), stream,
         interesting_items_kernel, samples, lowest, lists, sorted_positions, k);
}

void interesting_positions(Matrix<int32_t> positions, Matrix<const int32_t> lists,
                           Vector<const uint32_t> sorted_positions, const Stream& stream) {
  require_shape("interesting_positions", "positions", positions, lists.rows, positions.cols);
  require_size("interesting_positions", "sorted positions", sorted_positions, lists.size());
  if (positions.size() == 0) return;
  const int64_t k = positions.cols;
  launch("interesting_positions", tiles_for(lists.rows, k * k / 8 + k), stream,
         interesting_positions_kernel, positions, lists, sorted_positions);
}

void gather_at(Matrix<int32_t> out, Matrix<const int32_t> lists, Matrix<const int32_t> positions,
               int32_t absent, const Stream& stream) {
  launch_gather_at(out, lists, positions, absent, stream);
}

void gather_at(Matrix<float> out, Matrix<const float> lists, Matrix<const int32_t> positions,
               float absent, const Stream& stream) {
  launch_gather_at(out, lists, positions, absent, stream);
}

void top_items(Matrix<int32_t> samples, Vector<int32_t> lowest, Matrix<const int32_t> lists,
               int64_t k, const Stream& stream) {
  check_samples("top_items", samples, lowest, lists, k);
  if (lists.rows == 0) return;
  launch("top_items", tiles_for(lists.rows, k), stream, top_items_kernel, samples, lowest, lists,
         k);
}

void list_lengths(Vector<int32_t> lengths, Matrix<const int32_t> lists, const Stream& stream) {
  require_size("list_lengths", "lengths", lengths, lists.rows);
  if (lists.rows == 0) return;
  launch("list_lengths", tiles_for(lists.rows, lists.cols), stream, list_lengths_kernel, lengths,
         lists);
}

void exclusion_sizes(Vector<int64_t> sizes, SparseRows observed, Vector<const int32_t> list_lengths,
                     const Stream& stream) {
  require_size("exclusion_sizes", "sizes", sizes, list_lengths.size + 1);
  require_size("exclusion_sizes", "observed offsets", observed.offsets, list_lengths.size + 1);
  launch("exclusion_sizes", threads_for(sizes.size), stream, exclusion_sizes_kernel, sizes,
         observed, list_lengths);
}

void exclusion_keys(SortBuffers out, Vector<const int64_t> offsets, SparseRows observed,
                    Matrix<const int32_t> lists, Vector<const int32_t> list_lengths,
                    const Stream& stream) {
  constexpr const char* kName = "exclusion_keys";
  require_size(kName, "offsets", offsets, lists.rows + 1);
  require_size(kName, "observed offsets", observed.offsets, lists.rows + 1);
  require_size(kName, "list lengths", list_lengths, lists.rows);
  require_size(kName, "values", out.values, out.keys.size);
  if (lists.rows == 0) return;
  launch("exclusion_keys", tiles_for(lists.rows, out.keys.size / lists.rows + 1), stream,
         exclusion_keys_kernel, out, offsets, observed, lists, list_lengths);
}

void slot_order_keys(SortBuffers out, Matrix<const int32_t> samples, Matrix<const float> scores,
                     const Stream& stream) {
  check_pairs("slot_order_keys", out, samples.size());
  require_shape("slot_order_keys", "scores", scores, samples.rows, samples.cols);
  if (samples.size() == 0) return;
  launch("slot_order_keys", threads_for(samples.size()), stream, slot_order_keys_kernel, out,
         samples.flat(), scores.flat());
}

void ranking_occurrence_keys(SortBuffers out, Matrix<const int32_t> samples, const Stream& stream) {
  check_pairs("ranking_occurrence_keys", out, samples.size());
  if (!slot_code_fits(samples.rows, samples.cols)) {
    throw std::invalid_argument("ranking_occurrence_keys: " + std::to_string(samples.rows) +
                                " users with " + std::to_string(samples.cols) +
                                " slots do not fit into 32 bits");
  }
  if (samples.size() == 0) return;
  launch("ranking_occurrence_keys", tiles_for(samples.rows, samples.cols), stream,
         ranking_occurrence_keys_kernel, out, samples, slot_code(samples.cols));
}

void row_offsets(Vector<int32_t> offsets, Vector<const uint64_t> sorted_keys,
                 const Stream& stream) {
  if (sorted_keys.size > INT32_MAX) {
    throw std::invalid_argument("row_offsets: " + std::to_string(sorted_keys.size) +
                                " keys are too many for 32-bit offsets");
  }
  if (offsets.size == 0) return;
  constexpr int64_t kSearch = 64;
  launch("row_offsets", threads_for(offsets.size, kSearch), stream, row_offsets_kernel, offsets,
         sorted_keys);
}

}  // namespace derrd
