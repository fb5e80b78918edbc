#include "engine/evaluation/ranking_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace derrd {

namespace {

constexpr size_t kCutoffCount = kFullCutoffs.size();

void require_one_per_item(const char* operation, const InteractionRows& relevant, size_t size) {
  if (size == relevant.items.size()) return;
  throw std::invalid_argument(std::string(operation) + ": " + std::to_string(size) +
                              " numbers for " + std::to_string(relevant.items.size()) + " items");
}

/// @param ranks of the items in the list, ascending
/// @param relevant |T|
RankingValues values_of(std::span<const int32_t> ranks, int64_t relevant) {
  RankingValues values;
  for (size_t n = 0; n < kCutoffCount; ++n) {
    const int k = kFullCutoffs[n];
    const int64_t most_hits = std::min<int64_t>(k, relevant);
    int64_t hits = 0;
    double gain = 0, precisions = 0, ideal = 0;
    for (; hits < std::ssize(ranks) && ranks[static_cast<size_t>(hits)] <= k; ++hits) {
      const double rank = ranks[static_cast<size_t>(hits)];
      gain += 1 / std::log2(rank + 1);
      precisions += static_cast<double>(hits + 1) / rank;
    }
    for (int64_t rank = 1; rank <= most_hits; ++rank) {
      ideal += 1 / std::log2(static_cast<double>(rank) + 1);
    }
    values.at(RankingMetric::kRecall, n) =
        static_cast<double>(hits) / static_cast<double>(relevant);
    values.at(RankingMetric::kNdcg, n) = gain / ideal;
    values.at(RankingMetric::kPrecision, n) = static_cast<double>(hits) / k;
    values.at(RankingMetric::kHitRatio, n) = hits > 0 ? 1 : 0;
    values.at(RankingMetric::kMrr, n) = hits > 0 ? 1.0 / ranks[0] : 0;
    values.at(RankingMetric::kMap, n) = precisions / static_cast<double>(most_hits);
  }
  return values;
}

double gini_index(std::vector<int64_t> frequency) {
  std::ranges::sort(frequency);
  const auto items = std::ssize(frequency);
  int64_t weighted = 0, total = 0;
  for (int64_t j = 1; j <= items; ++j) {
    const int64_t n = frequency[static_cast<size_t>(j - 1)];
    weighted += (2 * j - items - 1) * n;
    total += n;
  }
  return static_cast<double>(weighted) / (static_cast<double>(items) * static_cast<double>(total));
}

}  // namespace

std::vector<std::string> accuracy_metric_names() {
  std::vector<std::string> names;
  for (const int k : kFullCutoffs) {
    for (const char* metric : kRankingMetricNames) {
      names.push_back(fmt::format("{}@{}", metric, k));
    }
  }
  return names;
}

RankingValues& RankingValues::operator+=(const RankingValues& other) {
  for (size_t m = 0; m < values_.size(); ++m) {
    for (size_t n = 0; n < kCutoffCount; ++n) values_[m][n] += other.values_[m][n];
  }
  return *this;
}

RankingValues& RankingValues::operator/=(double divisor) {
  for (auto& of_metric : values_) {
    for (double& value : of_metric) value /= divisor;
  }
  return *this;
}

std::vector<int32_t> ranks_after_ties(const InteractionRows& relevant,
                                      std::span<const int32_t> not_lower) {
  require_one_per_item("ranks_after_ties", relevant, not_lower.size());
  std::vector<int32_t> rank(not_lower.size());
  std::vector<int32_t> order;  // of a user's items: by `not_lower` falling
  for (int64_t u = 0; u < relevant.num_rows(); ++u) {
    const auto begin = static_cast<size_t>(relevant.offsets[static_cast<size_t>(u)]);
    const auto of_user = not_lower.subspan(begin, relevant.row(u).size());
    order.resize(of_user.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](int32_t e) { return of_user[static_cast<size_t>(e)]; });
    // Equal numbers are equal scores: the last of them has this rank, the others stand before it.
    int32_t group = 0, next = 0;
    for (const int32_t e : order) {
      const int32_t number = of_user[static_cast<size_t>(e)];
      if (number < 1) {
        throw std::invalid_argument("ranks_after_ties: " + std::to_string(number) +
                                    " items score as high as an item of user " + std::to_string(u));
      }
      next = number == group ? next - 1 : number;
      group = number;
      rank[begin + static_cast<size_t>(e)] = next;
    }
  }
  return rank;
}

RankingAccuracy ranking_accuracy(const InteractionRows& relevant, std::span<const int32_t> rank) {
  require_one_per_item("ranking_accuracy", relevant, rank.size());
  RankingAccuracy accuracy;
  std::vector<int32_t> listed;
  for (int64_t u = 0; u < relevant.num_rows(); ++u) {
    const auto count = std::ssize(relevant.row(u));
    if (count == 0) continue;
    const auto of_user = rank.subspan(static_cast<size_t>(relevant.offsets[static_cast<size_t>(u)]),
                                      static_cast<size_t>(count));
    listed.clear();
    std::ranges::copy_if(of_user, std::back_inserter(listed), [](int32_t r) { return r > 0; });
    std::ranges::sort(listed);
    accuracy.users.push_back(static_cast<int32_t>(u));
    accuracy.users_values.push_back(values_of(listed, count));
    accuracy.mean += accuracy.users_values.back();
  }
  if (!accuracy.users.empty()) accuracy.mean /= static_cast<double>(accuracy.users.size());
  return accuracy;
}

ListCounter::ListCounter(const InteractionRows& train, int64_t items)
    : train_users_(static_cast<size_t>(items)) {
  for (const int32_t item : train.items) ++train_users_[static_cast<size_t>(item)];
  for (auto& listed : listed_) listed.resize(static_cast<size_t>(items));
}

void ListCounter::add(std::span<const int32_t> list) {
  if (list.empty()) return;
  ++lists_;
  for (size_t n = 0; n < kCutoffCount; ++n) {
    const auto first = list.first(std::min(list.size(), static_cast<size_t>(kFullCutoffs[n])));
    int64_t train_users = 0;
    for (const int32_t item : first) {
      ++listed_[n][static_cast<size_t>(item)];
      train_users += train_users_[static_cast<size_t>(item)];
    }
    popularity_[n] += static_cast<double>(train_users) / static_cast<double>(first.size());
  }
}

ListFigures ListCounter::figures() const {
  ListFigures figures;
  for (size_t n = 0; n < kCutoffCount; ++n) {
    const auto& listed = listed_[n];
    if (lists_ == 0) {
      figures.coverage[n] = figures.gini[n] = figures.popularity[n] =
          std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    const auto distinct = std::ranges::count_if(listed, [](int64_t count) { return count > 0; });
    figures.coverage[n] = static_cast<double>(distinct) / static_cast<double>(listed.size());
    figures.gini[n] = gini_index(listed);
    figures.popularity[n] = popularity_[n] / static_cast<double>(lists_);
  }
  return figures;
}

}  // namespace derrd
