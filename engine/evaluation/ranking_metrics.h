#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace derrd {

/// The list lengths K of metrics over the full ranking.
inline constexpr std::array<int, 3> kFullCutoffs = {10, 20, 50};

/// Metrics of one user's list of K items; T: the items to find, a hit: one of them in the list.
enum class RankingMetric {
  kRecall,     ///< hits / |T|
  kNdcg,       ///< sum over hits of 1 / log2(rank + 1), divided by its value for min(K, |T|) hits
               ///< at the top
  kPrecision,  ///< hits / K
  kHitRatio,   ///< 1 with a hit, else 0
  kMrr,        ///< 1 / rank of the first hit; 0 without
  kMap,        ///< sum over hits of (hits up to its rank) / rank, divided by min(K, |T|)
};
inline constexpr std::array<const char*, 6> kRankingMetricNames = {"Recall", "NDCG", "Precision",
                                                                   "HR",     "MRR",  "MAP"};

/// Names of the accuracy metrics of the full ranking: "Recall@10", "NDCG@10", ..., "Recall@20", ...
std::vector<std::string> accuracy_metric_names();

/// A value per metric and cutoff.
class RankingValues {
 public:
  /// @param n index of kFullCutoffs
  double& at(RankingMetric metric, size_t n) { return values_[static_cast<size_t>(metric)][n]; }
  double at(RankingMetric metric, size_t n) const {
    return values_[static_cast<size_t>(metric)][n];
  }

  RankingValues& operator+=(const RankingValues& other);
  RankingValues& operator/=(double divisor);

 private:
  std::array<std::array<double, kFullCutoffs.size()>, kRankingMetricNames.size()> values_{};
};

/// Accuracy over the users with items to find; others do not count.
struct RankingAccuracy {
  std::vector<int32_t> users;               ///< those that count, ascending
  std::vector<RankingValues> users_values;  ///< of each of them
  RankingValues mean;                       ///< over them; 0 if there are none
};

/// Ranks each relevant item in the order in which ties count against the model: by score falling,
/// and within equal scores the relevant items last.
/// @param not_lower [relevant items] number of the user's ranked items that score as high or
///   higher, the item itself among them
/// @throws std::invalid_argument at a number below 1.
std::vector<int32_t> ranks_after_ties(const InteractionRows& relevant,
                                      std::span<const int32_t> not_lower);

/// Computes the accuracy from the ranks of the relevant items.
/// @param rank [relevant items] from 1, distinct for one user; 0: the item is not in the list
/// @throws std::invalid_argument if the sizes do not fit.
RankingAccuracy ranking_accuracy(const InteractionRows& relevant, std::span<const int32_t> rank);

/// Figures of the lists of all users that count, beyond accuracy; NaN where no list has an item.
struct ListFigures {
  using AtCutoffs = std::array<double, kFullCutoffs.size()>;
  AtCutoffs coverage{};    ///< part of all items that is in at least one list
  AtCutoffs gini{};        ///< Gini index of the items' frequencies
  AtCutoffs popularity{};  ///< mean over the lists of the mean number of training users of an item
};

/// Collects the figures of lists.
class ListCounter {
 public:
  explicit ListCounter(const InteractionRows& train, int64_t items);
  /// Adds a user's list, the best item first; it may be shorter or longer than a cutoff.
  void add(std::span<const int32_t> list);
  /// The Gini index is sum over j of (2 j - I - 1) n_j / (I sum of n_j), where n_1 <= ... <= n_I
  /// are the numbers of lists that hold an item: 0 if all items are listed equally often, and
  /// 1 - 1/I if one alone is.
  ListFigures figures() const;

 private:
  std::vector<int32_t> train_users_;                              // [I]
  std::array<std::vector<int64_t>, kFullCutoffs.size()> listed_;  // [I]: lists with the item
  std::array<double, kFullCutoffs.size()> popularity_{};          // sums over the lists
  int64_t lists_ = 0;                                             // those that hold an item
};

}  // namespace derrd
