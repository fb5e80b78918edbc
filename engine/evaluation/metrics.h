#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace derrd {

/// The list lengths N at which the paper reports.
inline constexpr std::array<int, 3> kCutoffs = {5, 10, 20};

/// Leave-one-out metrics, means over the users that have a held-out item; index n belongs to
/// kCutoffs[n].
struct Metrics {
  std::array<double, 3> hit{};   ///< H\@N = [rank <= N]
  std::array<double, 3> ndcg{};  ///< N\@N = [rank <= N] log 2 / log(rank + 1)
  std::array<double, 3> mrr{};   ///< M\@N = [rank <= N] / rank
  int64_t users = 0;
};

/// Computes the metrics from the rank of each user's held-out item.
/// @param ranks from 1; 0: the user has no such item and does not count.
/// @throws Error at a negative rank: the model's scores are not finite.
Metrics leave_one_out_metrics(std::span<const int32_t> ranks);

/// Metrics over the full ranking. A user has one relevant item, so Recall\@N is the hit ratio.
struct FullRankingMetrics {
  static constexpr std::array<int, 3> kCutoffs = {10, 20, 50};
  std::array<double, 3> recall{}, ndcg{}, hit{};
  int64_t users = 0;
};
/// Computes the metrics from the rank of each user's held-out item among all items.
/// @param ranks from 1; 0: the user has no such item and does not count.
/// @throws Error at a negative rank: the model's scores are not finite.
FullRankingMetrics full_ranking_metrics(std::span<const int32_t> ranks);

}  // namespace derrd
