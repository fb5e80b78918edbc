// RRD's interesting items (DE-RRD, section 4.2.1): K of the teacher's list without replacement, the
// k-th item with weight e^{-k/t}.
//
// Drawing them one after the other is the same as keeping the K largest of -k/t + g_k with
// independent Gumbel noise g_k (Yellott 1977; Efraimidis and Spirakis 2006), and a sort keeps them
// for all users at once. With g = -log(-log u), the order is that of log(-log u) + k/t, ascending:
// no weight is ever formed, so none underflows, however long the list. Floats are sorted as
// integers (ordered_bits.h).
//
// Shapes: lists [U, R], samples [U, K + L]. Mapping: a tile a user, lanes striding over its list;
// one Philox call serves four positions.
// Bytes: 16 R a user, keys written once; the sort moves 12 R several times and is the larger part.

#include "kernels/epoch/interesting.h"

#include <stdexcept>
#include <string>

#include "kernels/common/ordered_bits.h"
#include "kernels/common/random.h"
#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

constexpr int64_t kPositionsPerDraw = 4;
/// Value of padding, behind those of all numbers.
constexpr uint32_t kLast = ~0u;

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
      keys[position] = segment_key(user, list[position] >= 0 ? ordered_bits(falling) : kLast);
      values[position] = static_cast<uint32_t>(position);
    }
  }
}

/// Rank of a taken position among the first `taken`: the number of them before it; padding
/// stands behind all items.
__device__ __forceinline__ int rank_among(const uint32_t* __restrict__ positions, int64_t taken,
                                          uint32_t own) {
  int rank = 0;
  for (int64_t j = 0; j < taken; ++j) rank += positions[j] < own ? 1 : 0;
  return rank;
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
      row[rank_among(positions, taken, own)] = list[own];
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
      row[rank_among(sorted, taken, own)] = static_cast<int32_t>(own);
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
  require_size("interesting_keys", "keys", out.keys, lists.size());
  require_size("interesting_keys", "values", out.values, lists.size());
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

}  // namespace derrd
