#include "engine/evaluation/evaluator.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/small_data.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::evaluator_test {
namespace {

/// Four users of nine items: several held-out items, none, candidates that end early, none.
Dataset odd_dataset() {
  Dataset d;
  d.train = {{0, 1, 2, 3, 4}, {0, 1, 2, 3}};
  d.valid = {{0, 3, 3, 3, 4}, {1, 2, 3, 4}};
  d.test = {{0, 1, 3, 5, 5}, {4, 0, 5, 7, 8}};
  d.num_candidates = 4;
  d.candidates = {5, 6, 7, 8, 2, 3, 4, 6, -1, -1, -1, -1, 0, 1, -1, -1};
  d.user_ids = IdTable::identity(4);
  d.item_ids = IdTable::identity(9);
  return d;
}

/// Mean over users, computed from the definition.
double oracle_hits(const Dataset& d, const InteractionRows& part, const std::vector<double>& scores,
                   int cutoff) {
  double sum = 0;
  int users = 0;
  for (int64_t u = 0; u < d.num_users(); ++u) {
    const auto candidates = d.candidates_of(u);
    if (part.row(u).empty() || candidates[0] < 0) continue;
    ++users;
    double hits = 0;
    for (const int32_t item : part.row(u)) {
      const auto row = std::span(scores).subspan(static_cast<size_t>(u * 9), 9);
      hits += oracle::leave_one_out_rank(row, item, candidates) <= cutoff ? 1 : 0;
    }
    sum += hits / static_cast<double>(part.row(u).size());
  }
  return sum / users;
}

TEST(Evaluator, RanksEachOfAUsersItemsAlone) {
  const Dataset dataset = odd_dataset();
  const DeviceDataset data(dataset, stream());
  EXPECT_EQ(data.turns(), 3);
  EXPECT_TRUE(data.has_validation());
  // Whole numbers have exact scores.
  std::vector<float> user, item;
  for (const int32_t v : random_below(4 * 3, 7, 1)) user.push_back(static_cast<float>(v - 3));
  for (const int32_t v : random_below(9 * 3, 7, 2)) item.push_back(static_cast<float>(v - 3));
  InnerProductScorer scorer(user, item, 3, stream());
  const std::vector<double> scores = oracle::inner_products(user, item, 3);
  const Evaluation result = Evaluator(data).evaluate(scorer, stream());
  EXPECT_EQ(result.valid.users, 2);
  EXPECT_EQ(result.test.users, 2) << "the third user has no candidates";
  EXPECT_DOUBLE_EQ(result.valid.hit[0], oracle_hits(dataset, dataset.valid, scores, 5));
  EXPECT_DOUBLE_EQ(result.test.hit[0], oracle_hits(dataset, dataset.test, scores, 5));
  double mrr = 0;
  for (const auto& [u, items] : {std::pair(0, std::vector{4}), {1, std::vector{0, 5}}}) {
    for (const int32_t i : items) {
      const auto row = std::span(scores).subspan(static_cast<size_t>(u) * 9, 9);
      mrr += 1.0 / oracle::leave_one_out_rank(row, i, dataset.candidates_of(u)) /
             static_cast<double>(items.size());
    }
  }
  EXPECT_DOUBLE_EQ(result.test.mrr[0], mrr / 2);
}

TEST(Evaluator, WithoutCandidatesNobodyCounts) {
  Dataset dataset = odd_dataset();
  dataset.candidates.clear();
  dataset.num_candidates = 0;
  const DeviceDataset data(dataset, stream());
  EXPECT_EQ(data.turns(), 0);
  EXPECT_FALSE(data.has_validation());
  InnerProductScorer scorer(std::vector<float>(4, 1.0f), std::vector<float>(9, 1.0f), 1, stream());
  const Evaluation result = Evaluator(data).evaluate(scorer, stream());
  EXPECT_EQ(result.valid.users, 0);
  EXPECT_EQ(result.test.users, 0);
}

}  // namespace
}  // namespace derrd::test::evaluator_test
