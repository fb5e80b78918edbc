#include "engine/evaluation/metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "data/error.h"

namespace derrd {

namespace {

double ndcg_of(int32_t rank) { return std::log(2.0) / std::log(rank + 1.0); }

template <class Values>
void divide(Values& values, int64_t users) {
  for (double& v : values) v = users == 0 ? 0.0 : v / static_cast<double>(users);
}

void divide(Metrics& metrics, int64_t count) {
  for (auto* values : {&metrics.hit, &metrics.ndcg, &metrics.mrr}) divide(*values, count);
}

/// Metrics of a user from the sums over the user's items.
Metrics of_user(Metrics sums) {
  divide(sums, sums.users);
  sums.users = sums.users > 0 ? 1 : 0;
  return sums;
}

}  // namespace

std::vector<std::string> candidate_metric_names() {
  std::vector<std::string> names;
  for (const int n : kCutoffs) {
    for (const char* metric : {"H", "N", "M"}) names.push_back(fmt::format("{}@{}", metric, n));
  }
  return names;
}

void LeaveOneOutMetrics::add(std::span<const int32_t> ranks) {
  for (size_t user = 0; user < ranks.size(); ++user) {
    const int32_t rank = ranks[user];
    if (rank == 0) continue;
    if (rank < 0) {
      throw Error("the model's scores of user number " + std::to_string(user) +
                  " are not finite: the training diverged (lower --lr) or the file is damaged");
    }
    Metrics& m = sums_[user];
    ++m.users;
    for (size_t n = 0; n < kCutoffs.size(); ++n) {
      if (rank > kCutoffs[n]) continue;
      m.hit[n] += 1.0;
      m.ndcg[n] += ndcg_of(rank);
      m.mrr[n] += 1.0 / rank;
    }
  }
}

std::vector<Metrics> LeaveOneOutMetrics::of_users() const {
  std::vector<Metrics> users = sums_;
  for (Metrics& m : users) m = of_user(m);
  return users;
}

Metrics LeaveOneOutMetrics::mean() const {
  Metrics mean;
  for (const Metrics& sums : sums_) {
    const Metrics m = of_user(sums);
    mean.users += m.users;
    for (size_t n = 0; n < kCutoffs.size(); ++n) {
      mean.hit[n] += m.hit[n];
      mean.ndcg[n] += m.ndcg[n];
      mean.mrr[n] += m.mrr[n];
    }
  }
  divide(mean, mean.users);
  return mean;
}

}  // namespace derrd
