// Scores of a frozen NeuMF with one hidden layer (He et al., WWW'17, equation 12): for the lists of
// some items per user, and for all items.
//
//   score(u, i) = b + a_u . g_i + sum over k of w_k relu(p_u[k] + q_i[k])
//
// with a = w_g * user vector, g = item vector (matrix factorisation's part), p = W_u u + b_1 and
// q = W_i i (the perceptron's), all of them made once per row. A pair costs D + 2 H multiply-adds
// then instead of 2 D H.
//
// Shapes: a, g [*, D], p, q [*, H], w [H].
// Mapping: lists, a tile per part of a user's list, lanes stride over D and H, four items at a
// time, so that the loads of one row hide behind those of the others. All items, a tile per 64
// items and 4 users: the lanes run over the items and keep the 256 sums in registers over both
// loops. For this the items are packed [blocks, D + H, 64] once, so that lanes load adjacent
// numbers. Arithmetic of all items: relu(p + q) = p + max(q, -p), and the first term, summed with w
// over k, is a number per user: one maximum and one multiply-add per k instead of three operations.
// Bound by these. Bytes of a list: 4 (D + H) per item, gathered, bound by memory.
//
// Trap: a tie must be one. Equal rows give equal bits because each item's sums are formed by the
// same operations in the same order, also in the last, partial block, which is filled with zeros.
// Where relu is off, p + max(q, -p) leaves rounding errors of the size of p instead of an exact 0:
// no more than the sum that p itself is.

#include "kernels/models/neumf_frozen_scores.h"

#include "kernels/common/shapes.h"
#include "kernels/platform/execution.h"
#include "kernels/platform/lane_floats.h"

namespace derrd {

namespace {

/// Slots of a list that a tile scores. A list has hundreds: work for many tiles of a GPU.
constexpr int64_t kListSlots = kTileLanes > 1 ? 16 : 512;
DERRD_HOST_DEVICE inline int64_t list_parts(int64_t slots) {
  return (slots + kListSlots - 1) / kListSlots;
}

__global__ void neumf_list_scores_kernel(Matrix<float> score, PairScorer model,
                                         Matrix<const int32_t> item) {
  const WarpTile tile = warp_tile();
  const int64_t dims = model.item_product.cols;
  const int64_t hidden = model.item_part.cols;
  const int64_t parts = list_parts(item.cols);
  const float* __restrict__ w = model.weight.data;
  for (const int64_t unit : units_of(tile, score.rows * parts)) {
    const int64_t r = unit / parts;
    const int64_t first = unit % parts * kListSlots;
    const int64_t slots = item.cols - first < kListSlots ? item.cols - first : kListSlots;
    const float* __restrict__ user = model.user_product.row(r);
    const float* __restrict__ part = model.user_part.row(r);
    const int32_t* __restrict__ items = item.row(r) + first;
    float* __restrict__ out = score.row(r) + first;
    for (int64_t slot = 0; slot < slots; slot += 4) {
      const auto is_empty = [&](int64_t s) { return s >= slots || items[s] < 0; };
      if (is_empty(slot) && is_empty(slot + 1) && is_empty(slot + 2) && is_empty(slot + 3)) {
        for (int64_t s = slot + tile.thread_rank(); s < slots && s < slot + 4; s += tile.size()) {
          out[s] = 0.0f;
        }
        continue;
      }
      const auto item_at = [&](int64_t s) { return s < slots && items[s] >= 0 ? items[s] : 0; };
      const int64_t item0 = item_at(slot), item1 = item_at(slot + 1);
      const int64_t item2 = item_at(slot + 2), item3 = item_at(slot + 3);
      float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
      {
        const float* __restrict__ row0 = model.item_product.row(item0);
        const float* __restrict__ row1 = model.item_product.row(item1);
        const float* __restrict__ row2 = model.item_product.row(item2);
        const float* __restrict__ row3 = model.item_product.row(item3);
        for (int64_t k = tile.thread_rank(); k < dims; k += tile.size()) {
          sum0 += user[k] * row0[k];
          sum1 += user[k] * row1[k];
          sum2 += user[k] * row2[k];
          sum3 += user[k] * row3[k];
        }
      }
      const float* __restrict__ row0 = model.item_part.row(item0);
      const float* __restrict__ row1 = model.item_part.row(item1);
      const float* __restrict__ row2 = model.item_part.row(item2);
      const float* __restrict__ row3 = model.item_part.row(item3);
      const auto relu = [](float z) { return z < 0.0f ? 0.0f : z; };  // keeps NaN
      for (int64_t k = tile.thread_rank(); k < hidden; k += tile.size()) {
        sum0 += w[k] * relu(part[k] + row0[k]);
        sum1 += w[k] * relu(part[k] + row1[k]);
        sum2 += w[k] * relu(part[k] + row2[k]);
        sum3 += w[k] * relu(part[k] + row3[k]);
      }
      const auto keep = [&](int64_t s, float sum) {
        if (s < slots && tile.thread_rank() == 0) {
          out[s] = items[s] >= 0 ? sum + model.bias[0] : 0.0f;
        }
      };
      keep(slot, cg::reduce(tile, sum0, cg::plus<float>()));
      keep(slot + 1, cg::reduce(tile, sum1, cg::plus<float>()));
      keep(slot + 2, cg::reduce(tile, sum2, cg::plus<float>()));
      keep(slot + 3, cg::reduce(tile, sum3, cg::plus<float>()));
    }
  }
}

constexpr int kBlockItems = 64;
constexpr int kUsersAtOnce = 4;
/// Floats of a block's 64 that a lane holds, as vectors.
constexpr int kOwn = kBlockItems / (kTileLanes * kLaneWidth);

int64_t blocks_of(int64_t items) { return (items + kBlockItems - 1) / kBlockItems; }

__global__ void pack_items_kernel(Vector<float> packed, Matrix<const float> item_product,
                                  Matrix<const float> item_part) {
  const WarpTile tile = warp_tile();
  const int64_t dims = item_product.cols;
  const int64_t width = dims + item_part.cols;
  for (const int64_t unit : units_of(tile, packed.size / kBlockItems)) {
    const int64_t first = unit / width * kBlockItems;
    const int64_t k = unit % width;
    for (int64_t j = tile.thread_rank(); j < kBlockItems; j += tile.size()) {
      const int64_t item = first + j;
      float value = 0.0f;
      if (item < item_product.rows) {
        value = k < dims ? item_product.row(item)[k] : item_part.row(item)[k - dims];
      }
      packed[unit * kBlockItems + j] = value;
    }
  }
}

__global__ void neumf_tile_scores_kernel(Matrix<float> score, PairScorer model,
                                         Vector<const float> user_weight,
                                         Vector<const float> packed) {
  const WarpTile tile = warp_tile();
  const int64_t dims = model.item_product.cols;
  const int64_t hidden = model.item_part.cols;
  const int64_t groups = (score.rows + kUsersAtOnce - 1) / kUsersAtOnce;
  const int64_t items = score.cols;
  const int64_t lane = tile.thread_rank() * kLaneWidth;
  const float* __restrict__ w = model.weight.data;
  for (const int64_t unit : units_of(tile, (items + kBlockItems - 1) / kBlockItems * groups)) {
    const int64_t block = unit / groups;
    const int64_t first_user = unit % groups * kUsersAtOnce;
    // Behind the last user stands the last one once more, whose scores are not written.
    int64_t user[kUsersAtOnce];
    LaneFloats sum[kUsersAtOnce][kOwn];
    for (int u = 0; u < kUsersAtOnce; ++u) {
      user[u] = first_user + u < score.rows ? first_user + u : score.rows - 1;
      const LaneFloats start = spread(user_weight[user[u]] + model.bias[0]);
      for (int j = 0; j < kOwn; ++j) sum[u][j] = start;
    }

    const float* column = packed.data + block * kBlockItems * (dims + hidden) + lane;
    const float* product[kUsersAtOnce];
    for (int u = 0; u < kUsersAtOnce; ++u) product[u] = model.user_product.row(user[u]);
    for (int64_t k = 0; k < dims; ++k, column += kBlockItems) {
      LaneFloats item[kOwn];
      for (int j = 0; j < kOwn; ++j) item[j] = load_lanes(column + j * kTileLanes * kLaneWidth);
      for (int u = 0; u < kUsersAtOnce; ++u) {
        const LaneFloats factor = spread(product[u][k]);
        for (int j = 0; j < kOwn; ++j) sum[u][j] += factor * item[j];
      }
    }
    const float* part[kUsersAtOnce];
    for (int u = 0; u < kUsersAtOnce; ++u) part[u] = model.user_part.row(user[u]);
    for (int64_t k = 0; k < hidden; ++k, column += kBlockItems) {
      const LaneFloats weight = spread(w[k]);
      LaneFloats item[kOwn];
      for (int j = 0; j < kOwn; ++j) item[j] = load_lanes(column + j * kTileLanes * kLaneWidth);
      for (int u = 0; u < kUsersAtOnce; ++u) {
        const LaneFloats least = spread(-part[u][k]);
        for (int j = 0; j < kOwn; ++j) sum[u][j] += weight * larger_of(item[j], least);
      }
    }

    for (int u = 0; u < kUsersAtOnce && first_user + u < score.rows; ++u) {
      float* out = score.row(first_user + u);
      for (int j = 0; j < kOwn; ++j) {
        const int64_t i = block * kBlockItems + j * kTileLanes * kLaneWidth + lane;
        store_lanes(out + i, sum[u][j], items - i);
      }
    }
  }
}

void check_shapes(const char* operation, const PairScorer& model, int64_t users, int64_t items) {
  const int64_t dims = model.item_product.cols;
  const int64_t hidden = model.item_part.cols;
  require_shape(operation, "user_product", model.user_product, users, dims);
  require_shape(operation, "user_part", model.user_part, users, hidden);
  require_shape(operation, "item_product", model.item_product, items, dims);
  require_shape(operation, "item_part", model.item_part, items, hidden);
  require_size(operation, "weight", model.weight, hidden);
  require_size(operation, "bias", model.bias, 1);
}

}  // namespace

void neumf_list_scores(Matrix<float> score, const PairScorer& model, Matrix<const int32_t> item,
                       const Stream& stream) {
  constexpr const char* kName = "neumf_list_scores";
  check_shapes(kName, model, score.rows, model.item_product.rows);
  require_shape(kName, "item", item, score.rows, score.cols);
  if (score.size() == 0) return;
  const int64_t operations = model.item_product.cols + 2 * model.item_part.cols + 4;
  launch(kName, tiles_for(score.rows * list_parts(item.cols), kListSlots * operations), stream,
         neumf_list_scores_kernel, score, model, item);
}

int64_t packed_items_size(int64_t items, int64_t width) {
  return blocks_of(items) * kBlockItems * width;
}

void pack_items(Vector<float> packed, Matrix<const float> item_product,
                Matrix<const float> item_part, const Stream& stream) {
  require_shape("pack_items", "item_part", item_part, item_product.rows, item_part.cols);
  require_size("pack_items", "packed", packed,
               packed_items_size(item_product.rows, item_product.cols + item_part.cols));
  if (packed.size == 0) return;
  launch("pack_items", tiles_for(packed.size / kBlockItems, kBlockItems), stream, pack_items_kernel,
         packed, item_product, item_part);
}

void neumf_tile_scores(Matrix<float> score, const PairScorer& model,
                       Vector<const float> user_weight, Vector<const float> packed,
                       const Stream& stream) {
  constexpr const char* kName = "neumf_tile_scores";
  const int64_t width = model.item_product.cols + model.item_part.cols;
  check_shapes(kName, model, score.rows, score.cols);
  require_size(kName, "user_weight", user_weight, score.rows);
  require_size(kName, "packed", packed, packed_items_size(score.cols, width));
  if (score.size() == 0) return;
  const int64_t groups = (score.rows + kUsersAtOnce - 1) / kUsersAtOnce;
  launch(kName, tiles_for(blocks_of(score.cols) * groups, kUsersAtOnce * kBlockItems * width / 8),
         stream, neumf_tile_scores_kernel, score, model, user_weight, packed);
}

}  // namespace derrd
