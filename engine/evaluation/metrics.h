#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace derrd {

/// The list lengths N at which the paper reports.
inline constexpr std::array<int, 3> kCutoffs = {5, 10, 20};

/// Names of the metrics among candidates: "H@5", "N@5", "M@5", "H@10", ...
std::vector<std::string> candidate_metric_names();

/// Leave-one-out metrics of a user, or their means over the users that have a held-out item; index
/// n belongs to kCutoffs[n].
struct Metrics {
  std::array<double, 3> hit{};   ///< H\@N = [rank <= N]
  std::array<double, 3> ndcg{};  ///< N\@N = [rank <= N] log 2 / log(rank + 1)
  std::array<double, 3> mrr{};   ///< M\@N = [rank <= N] / rank
  int64_t users = 0;             ///< number of users that count
};

/// Collects the leave-one-out metrics of users from the ranks of their held-out items. A user's
/// metrics are means over its items, of which each is ranked alone.
class LeaveOneOutMetrics {
 public:
  /// @param users U, their number
  explicit LeaveOneOutMetrics(int64_t users) : sums_(static_cast<size_t>(users)) {}
  /// Adds one item of each user.
  /// @param ranks [U] from 1; 0: the user has no further item
  /// @throws Error at a negative rank: the model's scores are not finite.
  void add(std::span<const int32_t> ranks);
  /// Returns each user's metrics [U]; those without an item have `users` 0.
  std::vector<Metrics> of_users() const;
  /// Returns the means over the users with an item.
  Metrics mean() const;

 private:
  std::vector<Metrics> sums_;  // over items, whose number is `users`
};

}  // namespace derrd
