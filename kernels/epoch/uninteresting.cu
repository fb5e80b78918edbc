// Items from which a user's uninteresting ones are not drawn: the observed items and a prefix of
// the teacher's list (all of it in the authors' program; down to the lowest interesting item in the
// paper, section 4.2.1).
//
//   sizes[u] = observed items of u + prefix of u's list      exclusive sum -> offsets
//   keys (u, item) at offsets[u]: the observed items, then the prefix      a sort -> rows
//
// Shapes: observed [U] rows, lists [U, R]. Mapping: a tile a user (lists), a thread a user (sizes).
// Bytes: 12 written per excluded item, 4 read; the sort moves them several times.

#include "kernels/epoch/uninteresting.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"

namespace derrd {

namespace {

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
      keys[i] = segment_key(user, static_cast<uint32_t>(item));
      values[i] = static_cast<uint32_t>(item);
    }
  }
  const int64_t end = offsets[lists.rows];
  for (const int64_t i : units_of(SingleThread{}, out.keys.size - end)) {
    out.keys[end + i] = kBehindSegments;
  }
}

}  // namespace

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

}  // namespace derrd
