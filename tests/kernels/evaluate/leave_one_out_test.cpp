#include "kernels/evaluate/leave_one_out.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::leave_one_out_test {
namespace {

/// Small whole numbers: every sum of products is exact in float32, whatever its order, so that
/// ranks and ties must agree with the oracle to the last.
std::vector<float> whole_numbers(int64_t n, int32_t largest, uint64_t seed) {
  std::vector<float> values;
  for (const int32_t v : random_below(n, 2 * largest + 1, seed)) {
    values.push_back(static_cast<float>(v - largest));
  }
  return values;
}

/// Rows of at most one item; -1: none. With `before`, that many other items precede each.
struct ItemRows {
  explicit ItemRows(const std::vector<int32_t>& item, int32_t before = 0)
      : offsets(offsets_of(item, before)), items(items_of(item, before)) {}

  static std::vector<int64_t> offsets_of(const std::vector<int32_t>& item, int32_t before) {
    std::vector<int64_t> offsets = {0};
    for (const int32_t i : item) offsets.push_back(offsets.back() + (i < 0 ? 0 : before + 1));
    return offsets;
  }
  static std::vector<int32_t> items_of(const std::vector<int32_t>& item, int32_t before) {
    std::vector<int32_t> items;
    for (const int32_t i : item) {
      if (i < 0) continue;
      items.insert(items.end(), static_cast<size_t>(before), 0);
      items.push_back(i);
    }
    return items;
  }
  SparseRows view() const { return {offsets.const_view(), items.const_view()}; }

  Guarded<int64_t> offsets;
  Guarded<int32_t> items;
};

struct Case {
  int64_t users, items, dims, num_candidates;
  std::vector<float> user_embedding, item_embedding;
  std::vector<int32_t> valid, test, candidates;

  Case(int64_t u, int64_t i, int64_t d, int64_t c, int32_t largest = 3)
      : users(u),
        items(i),
        dims(d),
        num_candidates(c),
        user_embedding(whole_numbers(u * d, largest, 1)),
        item_embedding(whole_numbers(i * d, largest, 2)),
        valid(random_below(u, static_cast<int32_t>(i), 3)),
        test(random_below(u, static_cast<int32_t>(i), 4)),
        candidates(random_below(u * c, static_cast<int32_t>(i), 5)) {}

  struct Ranks {
    std::vector<int32_t> valid, test;
  };

  /// @param before floats before each table, so that no row is aligned to more than they are
  /// @param turn number of other items that precede each held-out one
  Ranks run(int64_t before = 0, int32_t turn = 0) const {
    const Guarded<int32_t> valid_rank(users), test_rank(users);
    const auto table = [before](std::vector<float> values) {
      values.insert(values.begin(), static_cast<size_t>(before), 0.0f);
      return Guarded<float>(values);
    };
    const Guarded<float> user = table(user_embedding), item = table(item_embedding);
    const ItemRows valid_items(valid, turn), test_items(test, turn);
    const Guarded<int32_t> candidate(candidates);
    leave_one_out_ranks(
        {valid_rank.view(), test_rank.view()}, {user.data() + before, users, dims},
        {item.data() + before, items, dims},
        {valid_items.view(), test_items.view(), candidate.matrix(users, num_candidates), turn},
        stream());
    return {valid_rank.host(), test_rank.host()};
  }

  void expect_as_oracle() const {
    const std::vector<double> scores = oracle::inner_products(user_embedding, item_embedding, dims);
    const Ranks ranks = run();
    for (int64_t u = 0; u < users; ++u) {
      const auto i = static_cast<size_t>(u);
      const auto row =
          std::span(scores).subspan(static_cast<size_t>(u * items), static_cast<size_t>(items));
      const auto list = std::span(candidates)
                            .subspan(static_cast<size_t>(u * num_candidates),
                                     static_cast<size_t>(num_candidates));
      EXPECT_EQ(ranks.valid[i], oracle::leave_one_out_rank(row, valid[i], list)) << "user " << u;
      EXPECT_EQ(ranks.test[i], oracle::leave_one_out_rank(row, test[i], list)) << "user " << u;
    }
  }
};

TEST(LeaveOneOut, MatchesOracleOnEdgeShapes) {
  for (const int64_t dims : {1, 20, 31, 32, 33, 200}) Case(9, 40, dims, 17).expect_as_oracle();
  for (const int64_t candidates : {0, 1, 5, 6, 7, 31, 32, 33, 257}) {
    Case(3, 50, 8, candidates).expect_as_oracle();
  }
  for (const int64_t users : kEdgeSizes) Case(users, 30, 4, 10).expect_as_oracle();
}

// Ranks of scores that come from elsewhere equal these.
TEST(LeaveOneOut, RanksOfScoresAreTheSame) {
  for (const int64_t candidates : {0, 1, 31, 32, 33, 257}) {
    Case c(9, 40, 6, candidates);
    for (size_t i = 0; i < c.candidates.size(); i += 5) c.candidates[i] = -1;
    c.valid[2] = c.test[3] = c.valid[4] = c.test[4] = -1;
    if (candidates > 0) {
      c.user_embedding[5 * 6] = std::numeric_limits<float>::infinity();
    }
    const Case::Ranks expected = c.run();
    const std::vector<double> scores =
        oracle::inner_products(c.user_embedding, c.item_embedding, c.dims);
    constexpr int64_t kFirst = 1, kUsers = 8;
    constexpr int32_t kTurn = 2;
    const ItemRows valid_items(c.valid, kTurn), test_items(c.test, kTurn);
    const Guarded<int32_t> candidate(c.candidates);
    const Guarded<int32_t> item(kUsers * (candidates + 2)), valid(kUsers), test(kUsers);
    leave_one_out_items(
        item.matrix(kUsers, candidates + 2),
        {valid_items.view(), test_items.view(), candidate.matrix(9, candidates), kTurn}, kFirst,
        stream());
    const std::vector<int32_t> items = item.host();
    const auto without_items = items.begin() + (4 - kFirst) * (candidates + 2);
    EXPECT_TRUE(std::all_of(without_items, without_items + candidates + 2,
                            [](int32_t i) { return i == -1; }));
    std::vector<float> of_items;
    for (size_t i = 0; i < items.size(); ++i) {
      const auto u = kFirst + static_cast<int64_t>(i) / (candidates + 2);
      const auto row = static_cast<size_t>(u * c.items);
      of_items.push_back(
          items[i] < 0 ? 0.0f : static_cast<float>(scores[row + static_cast<size_t>(items[i])]));
    }
    const Guarded<float> score(of_items);
    ranks_of_scores({valid.view(), test.view()}, score.matrix(kUsers, candidates + 2),
                    item.matrix(kUsers, candidates + 2), stream());
    const auto part = [&](const std::vector<int32_t>& all) {
      return std::vector<int32_t>(all.begin() + kFirst, all.begin() + kFirst + kUsers);
    };
    EXPECT_EQ(valid.host(), part(expected.valid)) << candidates;
    EXPECT_EQ(test.host(), part(expected.test)) << candidates;
  }
}

TEST(LeaveOneOut, RejectsBadShapesOfScores) {
  const Guarded<int32_t> numbers(std::vector<int32_t>(40, 0));
  const Guarded<float> score(std::vector<float>(40, 0.0f));
  const auto items = [&](int64_t cols, size_t held_out, int64_t first) {
    const ItemRows rows(std::vector<int32_t>(held_out, 0)), three(std::vector<int32_t>(3, 0));
    leave_one_out_items(numbers.matrix(2, cols), {rows.view(), three.view(), numbers.matrix(3, 5)},
                        first, stream());
    leave_one_out_items(numbers.matrix(2, cols), {three.view(), rows.view(), numbers.matrix(3, 5)},
                        first, stream());
  };
  EXPECT_THROW(items(6, 3, 0), std::invalid_argument);
  EXPECT_THROW(items(7, 2, 0), std::invalid_argument);
  EXPECT_THROW(items(7, 3, 2), std::invalid_argument);
  const auto ranks = [&](int64_t users, int64_t score_cols, int64_t item_cols) {
    ranks_of_scores({numbers.view().slice(0, users), numbers.view().slice(0, 3)},
                    score.matrix(3, score_cols), numbers.matrix(3, item_cols), stream());
  };
  EXPECT_THROW(ranks(2, 7, 7), std::invalid_argument);
  EXPECT_THROW(ranks(3, 7, 6), std::invalid_argument);
  EXPECT_THROW(ranks(3, 1, 1), std::invalid_argument);
}

TEST(LeaveOneOut, TablesStandAtAnyAddress) {
  const Case c(9, 40, 20, 17);
  EXPECT_EQ(c.run(1).valid, c.run().valid);
  EXPECT_EQ(c.run(1).test, c.run().test);
}

TEST(LeaveOneOut, ATurnRanksItsItemOfEachRow) {
  Case c(33, 40, 6, 17);
  c.valid[1] = c.test[2] = c.valid[3] = c.test[3] = -1;
  for (const int32_t turn : {1, 5}) {
    EXPECT_EQ(c.run(0, turn).valid, c.run().valid);
    EXPECT_EQ(c.run(0, turn).test, c.run().test);
  }
}

TEST(LeaveOneOut, TiesCountAgainstTheModel) {
  Case c(33, 20, 5, 11);
  std::fill(c.item_embedding.begin(), c.item_embedding.end(), 1.0f);
  for (const int32_t rank : c.run().valid) EXPECT_EQ(rank, 12);
  for (const int32_t rank : c.run().test) EXPECT_EQ(rank, 12);
}

TEST(LeaveOneOut, EqualRowsTieWhateverTheirPlaceAndRounding) {
  Case c(5, 60, 67, 40);
  c.user_embedding = random_normal(c.users * c.dims, 6);
  const std::vector<float> row = random_normal(c.dims, 7);
  for (size_t k = 0; k < c.item_embedding.size(); ++k) {
    c.item_embedding[k] = row[k % static_cast<size_t>(c.dims)];
  }
  for (const int32_t rank : c.run().valid) EXPECT_EQ(rank, 41);
  for (const int32_t rank : c.run().test) EXPECT_EQ(rank, 41);
}

TEST(LeaveOneOut, MissingCandidatesAreSkippedWhereverTheyStand) {
  Case c(9, 25, 6, 20);
  for (size_t i = 0; i < c.candidates.size(); i += 3) c.candidates[i] = -1;
  for (size_t i = 0; i < 20; ++i) c.candidates[i] = -1;
  c.expect_as_oracle();
}

TEST(LeaveOneOut, UsersWithoutAnItemHaveRankZero) {
  Case c(8, 25, 6, 20);
  c.valid[1] = c.test[2] = c.valid[3] = c.test[3] = -1;
  c.expect_as_oracle();
}

TEST(LeaveOneOut, ScoresOfEightyAreRanked) {
  Case c(9, 40, 5, 17, 4);  // up to 5 * 4 * 4
  c.expect_as_oracle();
}

TEST(LeaveOneOut, ScoresThatAreNotFiniteHaveNoRank) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    Case c(4, 6, 3, 2);
    std::fill(c.user_embedding.begin(), c.user_embedding.end(), 1.0f);
    c.valid = {0, 0, 5, -1};
    c.test = {1, 1, 1, 1};
    c.candidates = {2, 3, 2, 5, 2, 3, 5, -1};
    c.item_embedding[5 * 3 + 1] = bad;
    const Case::Ranks ranks = c.run();
    EXPECT_GT(ranks.valid[0], 0);
    EXPECT_GT(ranks.test[0], 0);
    EXPECT_EQ(ranks.valid[1], -1);
    EXPECT_EQ(ranks.test[1], -1);
    EXPECT_EQ(ranks.valid[2], -1);
    EXPECT_GT(ranks.test[2], 0) << "the other held-out item takes no part";
    EXPECT_EQ(ranks.valid[3], 0);
    EXPECT_EQ(ranks.test[3], -1);
  }
}

TEST(LeaveOneOut, RejectsBadShapes) {
  const Guarded<float> embedding(12);
  const Guarded<int32_t> three(3);
  const auto call = [&](Matrix<const float> user, Matrix<const float> item, size_t valid,
                        int64_t candidate_rows) {
    const ItemRows rows(std::vector<int32_t>(valid, 0)), three_rows(std::vector<int32_t>(3, 0));
    leave_one_out_ranks({three.view(), three.view()}, user, item,
                        {rows.view(), three_rows.view(), three.matrix(candidate_rows, 1)},
                        stream());
  };
  const Matrix<float> fits = embedding.matrix(3, 4);
  EXPECT_THROW(call(fits, embedding.matrix(4, 3), 3, 3), std::invalid_argument);
  EXPECT_THROW(call(embedding.matrix(2, 4), fits, 3, 3), std::invalid_argument);
  EXPECT_THROW(call(fits, fits, 2, 3), std::invalid_argument);
  EXPECT_THROW(call(fits, fits, 3, 2), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::leave_one_out_test
