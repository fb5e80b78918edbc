#include "engine/evaluation/metrics.h"

#include <cmath>
#include <string>

#include "data/error.h"

namespace derrd {

namespace {

/// Calls add(rank) for every user with a held-out item; returns how many there are.
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
    add(ranks[u]);
  }
  return users;
}

double ndcg_of(int32_t rank) { return std::log(2.0) / std::log(rank + 1.0); }

template <class Values>
void divide(Values& values, int64_t users) {
  for (double& v : values) v = users == 0 ? 0.0 : v / static_cast<double>(users);
}

}  // namespace

Metrics leave_one_out_metrics(std::span<const int32_t> ranks) {
  Metrics m;
  m.users = for_each_rank(ranks, [&](int32_t rank) {
    for (size_t n = 0; n < kCutoffs.size(); ++n) {
      if (rank > kCutoffs[n]) continue;
      m.hit[n] += 1.0;
      m.ndcg[n] += ndcg_of(rank);
      m.mrr[n] += 1.0 / rank;
    }
  });
  for (auto* values : {&m.hit, &m.ndcg, &m.mrr}) divide(*values, m.users);
  return m;
}

FullRankingMetrics full_ranking_metrics(std::span<const int32_t> ranks) {
  FullRankingMetrics m;
  m.users = for_each_rank(ranks, [&](int32_t rank) {
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
