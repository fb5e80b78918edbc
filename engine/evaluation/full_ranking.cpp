#include "engine/evaluation/full_ranking.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace derrd {

namespace {

constexpr int64_t kLongestList = kFullCutoffs.back();

/// Rows of the items that are in a or b.
InteractionRows united_rows(const InteractionRows& a, const InteractionRows& b) {
  InteractionRows rows;
  for (int64_t u = 0; u < a.num_rows(); ++u) {
    std::ranges::set_union(a.row(u), b.row(u), std::back_inserter(rows.items));
    rows.offsets.push_back(rows.num_interactions());
  }
  return rows;
}

void require_ranked(const InteractionRows& relevant, const InteractionRows& left_out) {
  for (int64_t u = 0; u < relevant.num_rows(); ++u) {
    for (const int32_t item : relevant.row(u)) {
      if (!left_out.contains(u, item)) continue;
      throw std::invalid_argument("FullRankingEvaluator: item " + std::to_string(item) +
                                  " of user " + std::to_string(u) +
                                  " is to be found, and left out");
    }
  }
}

}  // namespace

FullRankingEvaluator::FullRankingEvaluator(const InteractionRows& relevant,
                                           const InteractionRows& train,
                                           const InteractionRows& left_out_too, int64_t items,
                                           const Stream& stream)
    : relevant_rows_(relevant),
      train_(train),
      items_(items),
      relevant_(relevant, stream),
      ranker_(items, 0) {
  const InteractionRows observed =
      left_out_too.num_rows() > 0 ? united_rows(train, left_out_too) : train;
  require_ranked(relevant, observed);
  observed_ = DeviceRows(observed, stream);
  not_lower_ = DeviceArray<int32_t>(relevant.num_interactions());
}

int64_t FullRankingEvaluator::device_bytes(int64_t users, int64_t items, int64_t relevant,
                                           int64_t observed) {
  return DeviceRows::device_bytes(users, relevant) + DeviceRows::device_bytes(users, observed) +
         TopLists::device_bytes(items, 0) + relevant * static_cast<int64_t>(sizeof(int32_t));
}

RankingAccuracy FullRankingEvaluator::accuracy_of_ranks(const Stream& stream) const {
  return ranking_accuracy(relevant_rows_,
                          ranks_after_ties(relevant_rows_, not_lower_.to_host(stream)));
}

RankingAccuracy FullRankingEvaluator::accuracy(Scorer& scorer, const Stream& stream) {
  ranker_.best_and_ranks({nullptr, scorer.users(), 0}, {}, {not_lower_.view(), relevant_.view()},
                         scorer, observed_.view(), 0, stream);
  return accuracy_of_ranks(stream);
}

FullRanking FullRankingEvaluator::evaluate(Scorer& scorer, const Stream& stream) {
  constexpr int64_t kUsersAtOnce = 8192;
  const int64_t length = std::min(kLongestList, items_);
  TopLists top_lists(items_, length);
  const DeviceArray<int32_t> lists(std::min(kUsersAtOnce, scorer.users()) * length);
  ListCounter counter(train_, items_);
  for (int64_t first = 0; first < scorer.users(); first += kUsersAtOnce) {
    const int64_t users = std::min(kUsersAtOnce, scorer.users() - first);
    top_lists.best_and_ranks(lists.matrix(users, length), {}, {not_lower_.view(), relevant_.view()},
                             scorer, observed_.view(), first, stream);
    std::vector<int32_t> host(static_cast<size_t>(users * length));
    copy_to_host(host.data(), lists.data(), users * length * static_cast<int64_t>(sizeof(int32_t)),
                 stream);
    for (int64_t u = 0; u < users; ++u) {
      if (relevant_rows_.row(first + u).empty()) continue;
      const auto list =
          std::span(host).subspan(static_cast<size_t>(u * length), static_cast<size_t>(length));
      counter.add({list.begin(), std::ranges::find(list, -1)});
    }
  }
  return {accuracy_of_ranks(stream), counter.figures()};
}

}  // namespace derrd
