#include "engine/evaluation/metrics.h"

#include <cmath>
#include <string>

#include "data/error.h"

namespace derrd {

namespace {

/// Calls add(user, rank) for every user with a held-out item; returns how many there are.
template <class Add>
int64_t for_each_rank(std::span<const int32_t> ranks, Add add) {
  int64_t users = 0;
  for (size_t u = 0; u < ranks.size(); ++u) {
    if (ranks[u] == 0) continue;
    if (ranks[u] < 0) {
      throw Error("the model's scores of user number " + std::to_string(u) +
                  " are not finite: the training diverged (lower --lr) or the file is damaged");
    }
    ++users;
    add(u, ranks[u]);
  }
  return users;
}

double ndcg_of(int32_t rank) { return std::log(2.0) / std::log(rank + 1.0); }

template <class Values>
void divide(Values& values, int64_t users) {
  for (double& v : values) v = users == 0 ? 0.0 : v / static_cast<double>(users);
}

void divide(Metrics& metrics, int64_t count) {
  for (auto* values : {&metrics.hit, &metrics.ndcg, &metrics.mrr}) divide(*values, count);
}

}  // namespace

void LeaveOneOutMetrics::add(std::span<const int32_t> ranks) {
  for_each_rank(ranks, [&](size_t user, int32_t rank) {
    Metrics& m = sums_[user];
    ++m.users;
    for (size_t n = 0; n < kCutoffs.size(); ++n) {
      if (rank > kCutoffs[n]) continue;
      m.hit[n] += 1.0;
      m.ndcg[n] += ndcg_of(rank);
      m.mrr[n] += 1.0 / rank;
    }
  });
}

std::vector<Metrics> LeaveOneOutMetrics::of_users() const {
  std::vector<Metrics> users = sums_;
  for (Metrics& m : users) {
    divide(m, m.users);
    m.users = m.users > 0 ? 1 : 0;
  }
  return users;
}

Metrics LeaveOneOutMetrics::mean() const {
  Metrics mean;
  for (const Metrics& m : of_users()) {
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

FullRankingMetrics full_ranking_metrics(std::span<const int32_t> ranks) {
  FullRankingMetrics m;
  m.users = for_each_rank(ranks, [&](size_t, int32_t rank) {
    for (size_t n = 0; n < m.kCutoffs.size(); ++n) {
      if (rank > m.kCutoffs[n]) continue;
      m.hit[n] += 1.0;
      m.ndcg[n] += ndcg_of(rank);
    }
  });
  m.recall = m.hit;
  for (auto* values : {&m.recall, &m.ndcg, &m.hit}) divide(*values, m.users);
  return m;
}

}  // namespace derrd
