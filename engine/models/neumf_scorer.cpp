#include "engine/models/neumf_scorer.h"

#include <algorithm>
#include <utility>

#include "kernels/evaluate/leave_one_out.h"
#include "kernels/models/linear.h"
#include "kernels/models/neumf_first_layer.h"
#include "kernels/models/scale_columns.h"
#include "kernels/platform/gemm.h"

namespace derrd {

namespace {

/// Pairs that go through the layers together: enough for efficient products, few enough that their
/// vectors stay in a cache.
constexpr int64_t kPairsAtOnce = 8192;
/// Users whose held-out items are ranked together.
constexpr int64_t kUsersAtOnce = 1024;

}  // namespace

NeumfScorer::NeumfScorer(NeumfTensors tensors) : NeumfScorer(std::move(tensors), {}) {}

NeumfScorer::NeumfScorer(NeumfTensors tensors, std::vector<DeviceArray<float>> memory)
    : tensors_(std::move(tensors)),
      memory_(std::move(memory)),
      widths_(tensors_.widths()),
      user_product_(users() * tensors_.dim()),
      user_part_(users() * widths_.front()),
      item_part_(items() * widths_.front()),
      user_weight_(users()) {}

void NeumfScorer::add_memory(ModelMemory& memory, const ModelSizes& sizes, int64_t candidates) {
  constexpr int64_t kNumber = sizeof(float);
  const std::vector<int64_t> widths = hidden_widths(sizes.dim, sizes.layers);
  const int64_t dim = sizes.dim;
  const int64_t hidden = widths.front();
  const int64_t joint = dim + widths.back();
  const auto rows_of = [&](int64_t users, int64_t items) {
    return (users * (dim + hidden + 1) + items * hidden) * kNumber;
  };
  memory.scorer = rows_of(sizes.users, sizes.items);
  memory.transposed = rows_of(sizes.items, sizes.users);
  const auto through_layers = [&](int64_t pairs) -> int64_t {
    if (sizes.layers == 1) return 0;
    pairs = std::min(kPairsAtOnce, pairs);
    return HiddenRows::device_bytes(pairs, widths, HiddenRows::Purpose::kScore) +
           pairs * (joint + 2) * kNumber;
  };
  const int64_t ranked = std::min(kUsersAtOnce, sizes.users) * (candidates + 2);
  const int64_t packed =
      sizes.layers == 1 ? packed_items_size(sizes.items, dim + hidden) * kNumber : 0;
  memory.ranks = 2 * ranked * kNumber + through_layers(ranked);
  memory.tiles = packed + through_layers(sizes.users * sizes.items);
  memory.ranks_and_tiles =
      2 * ranked * kNumber + packed + through_layers(std::max(ranked, sizes.users * sizes.items));
  memory.joint_pair = HiddenRows::device_bytes(1, widths, HiddenRows::Purpose::kScore);
}

void NeumfScorer::update(const Stream& stream) {
  const int64_t dim = tensors_.dim();
  const int64_t hidden = widths_.front();
  const Matrix<float> user_part = user_part_.matrix(users(), hidden);
  scale_columns_forward(user_product_.matrix(users(), dim),
                        {tensors_.user.gmf, tensors_.output_weight.slice(0, dim)}, stream);
  linear_forward(
      user_part,
      {.in = tensors_.user.mlp, .weight = tensors_.user.weight, .bias = tensors_.first_bias},
      stream);
  gemm(item_part_.matrix(items(), hidden), tensors_.item.mlp, transpose(tensors_.item.weight), {},
       stream);
  is_packed_ = false;
}

PairScorer NeumfScorer::pair_scorer(int64_t first_user, int64_t count) const {
  const int64_t dim = tensors_.dim();
  const int64_t hidden = widths_.front();
  return {user_product_.matrix(users(), dim).slice(first_user, count),
          user_part_.matrix(users(), hidden).slice(first_user, count),
          tensors_.item.gmf,
          item_part_.matrix(items(), hidden),
          tensors_.output_weight.slice(dim, hidden),
          tensors_.output_bias};
}

void NeumfScorer::pack(const Stream& stream) {
  if (is_packed_) return;
  const PairScorer all = pair_scorer(0, users());
  const int64_t hidden = widths_.front();
  const int64_t size = packed_items_size(items(), tensors_.dim() + hidden);
  grow(packed_, size);
  pack_items(packed_.view().slice(0, size), all.item_product, all.item_part, stream);
  gemm(user_weight_.matrix(users(), 1), all.user_part, transpose({all.weight.data, 1, hidden}), {},
       stream);
  is_packed_ = true;
}

NeumfJointCall NeumfScorer::through_layers(const HiddenRows& hidden, int64_t n,
                                           const PairRows& pairs, const Stream& stream) const {
  neumf_first_layer_forward(hidden.first(n),
                            {.user_part = user_part_.matrix(users(), widths_.front()),
                             .item_part = item_part_.matrix(items(), widths_.front()),
                             .pairs = pairs},
                            stream);
  hidden.forward(tensors_.layers, n, pairs.active, stream);
  return {.user_table = tensors_.user.gmf,
          .item_table = tensors_.item.gmf,
          .hidden = hidden.last(n),
          .pairs = pairs,
          .weight = tensors_.output_weight,
          .bias = tensors_.output_bias};
}

void NeumfScorer::score_by_layers(Matrix<float> scores, Vector<const int32_t> listed,
                                  int64_t first_user, const Stream& stream) {
  const int64_t capacity = std::min(kPairsAtOnce, scores.size());
  if (capacity > layer_rows_.capacity()) {
    layer_rows_ = HiddenRows(capacity, widths_, HiddenRows::Purpose::kScore);
  }
  grow(layer_joint_, capacity * joint_dim());
  grow(layer_users_, capacity);
  grow(layer_items_, capacity);
  for (int64_t begin = 0; begin < scores.size(); begin += capacity) {
    const int64_t n = std::min(capacity, scores.size() - begin);
    const Vector<int32_t> users = layer_users_.view().slice(0, n);
    const Vector<int32_t> items = layer_items_.view().slice(0, n);
    const PairRows pairs = {users, items};
    enumerate_pairs(users, items, {first_user, scores.cols, listed}, begin, stream);
    neumf_joint_score(scores.flat().slice(begin, n), layer_joint_.matrix(n, joint_dim()),
                      through_layers(layer_rows_, n, pairs, stream), stream);
  }
}

void NeumfScorer::score_users(Matrix<float> scores, int64_t first_user, const Stream& stream) {
  if (!tensors_.layers.empty()) {
    score_by_layers(scores, {}, first_user, stream);
    return;
  }
  pack(stream);
  neumf_tile_scores(scores, pair_scorer(first_user, scores.rows),
                    user_weight_.view().slice(first_user, scores.rows), packed_.view(), stream);
}

void NeumfScorer::score_items(Matrix<float> scores, Matrix<const int32_t> item, int64_t first_user,
                              const Stream& stream) {
  if (tensors_.layers.empty()) {
    neumf_list_scores(scores, pair_scorer(first_user, scores.rows), item, stream);
  } else {
    score_by_layers(scores, item.flat(), first_user, stream);
  }
}

void NeumfScorer::leave_one_out(LeaveOneOutRanks ranks, const HeldOutItems& items,
                                const Stream& stream) {
  const int64_t at_once = std::min(kUsersAtOnce, users());
  const int64_t width = items.candidates.cols + 2;
  grow(ranked_items_, at_once * width);
  grow(ranked_scores_, at_once * width);
  for (int64_t first = 0; first < users(); first += at_once) {
    const int64_t n = std::min(at_once, users() - first);
    const Matrix<int32_t> item = ranked_items_.matrix(n, width);
    const Matrix<float> score = ranked_scores_.matrix(n, width);
    leave_one_out_items(item, items, first, stream);
    score_items(score, item, first, stream);
    ranks_of_scores({ranks.valid.slice(first, n), ranks.test.slice(first, n)}, score, item, stream);
  }
}

std::unique_ptr<Scorer> NeumfScorer::transposed(const Stream& stream) const {
  NeumfTensors swapped = tensors_;
  std::swap(swapped.user, swapped.item);
  auto scorer = std::make_unique<NeumfScorer>(std::move(swapped));
  scorer->update(stream);
  return scorer;
}

void NeumfScorer::reserve_pairs(int64_t pairs) {
  if (pairs > hidden_.capacity()) {
    hidden_ = HiddenRows(pairs, widths_, HiddenRows::Purpose::kScore);
  }
}

void NeumfScorer::joint_vectors(Matrix<float> joint, PairRows pairs, const Stream& stream) const {
  neumf_joint_forward(joint, through_layers(hidden_, joint.rows, pairs, stream), stream);
}

}  // namespace derrd
