#include "engine/evaluation/top_lists.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/error.h"
#include "kernels/common/shapes.h"
#include "kernels/evaluate/ranking.h"

namespace derrd {

namespace {

/// Scores of a tile: enough users for an efficient product and for every processor to have some,
/// few enough to matter little beside the embeddings.
constexpr int64_t kTileElements = int64_t{8} << 20;
constexpr int64_t kMinUsers = 32;

int64_t users_of_tile(int64_t items, int64_t most_users) {
  const int64_t users = kTileElements / std::max<int64_t>(items, 1) / kMinUsers * kMinUsers;
  return std::min({std::max(users, kMinUsers), most_users, most_top_users(items)});
}

void require_inputs(const char* operation, const Scorer& scorer, SparseRows observed,
                    int64_t items) {
  if (scorer.items() != items) {
    throw std::invalid_argument(std::string(operation) + ": the scorer has " +
                                std::to_string(scorer.items()) + " items, expected " +
                                std::to_string(items));
  }
  require_size(operation, "the offsets of observed", observed.offsets, scorer.users() + 1);
}

}  // namespace

TopLists::TopLists(int64_t items, int64_t list_length, const char* user, int64_t most_users)
    : user_(user),
      items_(items),
      list_length_(list_length),
      tile_users_(users_of_tile(items, most_users)),
      scores_(tile_users_ * items),
      status_(tile_users_),
      space_(0, tile_users_ * list_length) {}

int64_t TopLists::device_bytes(int64_t items, int64_t list_length) {
  const int64_t users = users_of_tile(items, kMostUsers);
  return users * (items + 1) * static_cast<int64_t>(sizeof(float)) +
         SortSpace::device_bytes(0, users * list_length);
}

Matrix<float> TopLists::score_tile(Scorer& scorer, SparseRows observed, int64_t first_user,
                                   int64_t users, const Stream& stream) {
  const Matrix<float> scores = scores_.matrix(users, items_);
  scorer.score_users(scores, first_user, stream);
  finite_rows(status_.view().slice(0, users), scores, stream);
  std::vector<int32_t> finite(static_cast<size_t>(users));
  copy_to_host(finite.data(), status_.data(), users * static_cast<int64_t>(sizeof(int32_t)),
               stream);
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad != finite.end()) {
    throw Error(std::string("the scores of ") + user_ + " " +
                std::to_string(first_user + (bad - finite.begin())) +
                " (counted from 0) are not all finite: the model holds NaN, infinity or numbers too"
                " large for float32; train the model again, with a lower learning rate if this"
                " one diverged");
  }
  mask_items(scores, observed, first_user, stream);
  return scores;
}

void TopLists::best(Matrix<int32_t> items, Matrix<float> scores, Scorer& scorer,
                    SparseRows observed, int64_t first_user, const Stream& stream) {
  best_and_ranks(items, scores, {}, scorer, observed, first_user, stream);
}

void TopLists::best_and_ranks(Matrix<int32_t> items, Matrix<float> scores, RankedItems ranked,
                              Scorer& scorer, SparseRows observed, int64_t first_user,
                              const Stream& stream) {
  constexpr const char* kOperation = "TopLists::best";
  require_inputs(kOperation, scorer, observed, items_);
  if (scores.data != nullptr) require_shape(kOperation, "scores", scores, items.rows, items.cols);
  if (items.cols > list_length_ || first_user < 0 || first_user + items.rows > scorer.users()) {
    throw std::invalid_argument(
        "TopLists::best: lists of " + std::to_string(items.cols) + " (at most " +
        std::to_string(list_length_) + ") of users " + std::to_string(first_user) + " to " +
        std::to_string(first_user + items.rows) + " of " + std::to_string(scorer.users()));
  }
  const int64_t r = items.cols;
  const bool ranks = ranked.rank.size > 0;
  if (r == 0 && !ranks) return;
  if (ranks) {
    require_size(kOperation, "the offsets of relevant", ranked.relevant.offsets,
                 scorer.users() + 1);
  }
  for (int64_t begin = 0; begin < items.rows; begin += tile_users_) {
    const int64_t users = std::min(tile_users_, items.rows - begin);
    const Matrix<const float> tile =
        score_tile(scorer, observed, first_user + begin, users, stream);
    if (ranks) full_ranks(ranked.rank, tile, ranked.relevant, first_user + begin, stream);
    if (r == 0) continue;
    const SortBuffers pairs = space_.unsorted(users * r);
    select_top(pairs, tile, status_.view().slice(0, users), r, stream);
    sort_segments(pairs, top_value_bits(items_), space_.scratch(), stream);
    const Matrix<float> tile_scores =
        scores.data == nullptr ? Matrix<float>{} : scores.slice(begin, users);
    write_top(items.slice(begin, users), tile_scores, pairs.values, tile, stream);
  }
}

int64_t TopLists::bytes() const { return scores_.bytes() + status_.bytes() + space_.bytes(); }

}  // namespace derrd
