#include "engine/evaluation/top_lists.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "tests/files.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::top_lists_test {
namespace {

/// Embeddings of small whole numbers, whose scores are exact, and observed items.
struct Case {
  int64_t users, items, dims;
  std::vector<float> user_embedding, item_embedding;
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> observed;

  Case(int64_t u, int64_t i, int64_t d) : users(u), items(i), dims(d) {
    for (const int32_t v : random_below(u * d, 7, 1)) user_embedding.push_back(float(v - 3));
    for (const int32_t v : random_below(i * d, 7, 2)) item_embedding.push_back(float(v - 3));
    for (int64_t user = 0; user < u; ++user) {
      for (int64_t item = user % 5; item < i; item += 1 + user % 7) {
        if (user % 7 == 1) observed.push_back(static_cast<int32_t>(item));
        if (user % 7 == 0 && item > 2) observed.push_back(static_cast<int32_t>(item));
      }
      offsets.push_back(static_cast<int64_t>(observed.size()));
    }
  }

  /// A user's exact scores; -infinity where observed.
  std::vector<float> scores_of(int64_t user) const {
    const auto row = std::span(user_embedding)
                         .subspan(static_cast<size_t>(user * dims), static_cast<size_t>(dims));
    const std::vector<double> exact = oracle::inner_products(row, item_embedding, dims);
    std::vector<float> scores(exact.begin(), exact.end());
    for (int64_t e = offsets[static_cast<size_t>(user)]; e < offsets[static_cast<size_t>(user + 1)];
         ++e) {
      scores[static_cast<size_t>(observed[static_cast<size_t>(e)])] =
          -std::numeric_limits<float>::infinity();
    }
    return scores;
  }

  struct OnDevice {
    Guarded<float> user, item;
    Guarded<int64_t> offsets;
    Guarded<int32_t> observed;
    Matrix<const float> user_embedding, item_embedding;
    SparseRows rows() const { return {offsets.const_view(), observed.const_view()}; }
    InnerProductScorer scorer{Matrix<const float>{}, Matrix<const float>{}};
  };
  OnDevice on_device() const {
    OnDevice d = {Guarded<float>(user_embedding),
                  Guarded<float>(item_embedding),
                  Guarded<int64_t>(offsets),
                  Guarded<int32_t>(observed),
                  {},
                  {}};
    d.user_embedding = d.user.matrix(users, dims);
    d.item_embedding = d.item.matrix(items, dims);
    d.scorer = InnerProductScorer(d.user_embedding, d.item_embedding);
    return d;
  }

  void expect_best(TopLists& lists, int64_t r, int64_t first_user, int64_t count) const {
    SCOPED_TRACE("users " + std::to_string(first_user) + " + " + std::to_string(count) +
                 ", lists of " + std::to_string(r));
    OnDevice d = on_device();
    const Guarded<int32_t> list(count * r);
    const Guarded<float> list_scores(count * r);
    lists.best(list.matrix(count, r), list_scores.matrix(count, r), d.scorer, d.rows(), first_user,
               stream());
    const std::vector<int32_t> actual = list.host();
    const std::vector<float> actual_scores = list_scores.host();
    for (int64_t n = 0; n < count; ++n) {
      const std::vector<float> scores = scores_of(first_user + n);
      std::vector<int32_t> expected = oracle::top_items(scores, r);
      expected.resize(static_cast<size_t>(r), -1);
      const auto begin = actual.begin() + n * r;
      ASSERT_EQ(std::vector<int32_t>(begin, begin + r), expected) << "user " << first_user + n;
      for (int64_t k = 0; k < r; ++k) {
        const int32_t item = expected[static_cast<size_t>(k)];
        ASSERT_EQ(
            actual_scores[static_cast<size_t>(n * r + k)],
            item < 0 ? -std::numeric_limits<float>::infinity() : scores[static_cast<size_t>(item)]);
      }
    }
  }
};

TEST(TopLists, MatchesOracle) {
  const Case c(40, 90, 6);
  TopLists lists(c.items, 100);
  for (const int64_t r : {1, 33, 100}) c.expect_best(lists, r, 0, c.users);
}

TEST(TopLists, AnyRangeOfUsers) {
  const Case c(40, 50, 4);
  TopLists lists(c.items, 10);
  c.expect_best(lists, 10, 0, 0);
  c.expect_best(lists, 10, 7, 1);
  c.expect_best(lists, 10, 39, 1);
  c.expect_best(lists, 10, 3, 30);
}

TEST(TopLists, ManyTiles) {
  const Case c(540, 20, 2);  // a tile holds at most 512 users
  TopLists lists(c.items, 5);
  c.expect_best(lists, 5, 0, c.users);
  c.expect_best(lists, 5, 10, 525);
}

TEST(TopLists, FewUsersAtOnce) {
  const Case c(20, 50, 4);
  for (const int64_t most_users : {1, 3}) {
    TopLists lists(c.items, 50, "user", most_users);
    c.expect_best(lists, 50, 0, c.users);
    c.expect_best(lists, 10, 7, 1);
  }
}

TEST(TopLists, MatchesOracleOnRanksAcrossTiles) {
  const Case c(540, 20, 2);
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> relevant, expected;
  for (int64_t u = 0; u < c.users; ++u) {
    const std::vector<float> scores = c.scores_of(u);
    for (const int32_t item : oracle::top_items(scores, c.items)) {
      if ((u + item) % 3 != 0) continue;
      relevant.push_back(item);
      expected.push_back(oracle::full_rank(to_double(scores), item));
    }
    offsets.push_back(static_cast<int64_t>(relevant.size()));
  }
  Case::OnDevice d = c.on_device();
  const Guarded<int64_t> offset(offsets);
  const Guarded<int32_t> item(relevant), rank(std::ssize(relevant)), again(std::ssize(relevant)),
      list(c.users * 5), list_again(c.users * 5);
  const SparseRows rows = {offset.const_view(), item.const_view()};
  TopLists(c.items, 0)
      .best_and_ranks({nullptr, c.users, 0}, {}, {rank.view(), rows}, d.scorer, d.rows(), 0,
                      stream());
  EXPECT_EQ(rank.host(), expected);
  TopLists lists(c.items, 5);
  lists.best_and_ranks(list.matrix(c.users, 5), {}, {again.view(), rows}, d.scorer, d.rows(), 0,
                       stream());
  EXPECT_EQ(again.host(), expected);
  lists.best(list_again.matrix(c.users, 5), {}, d.scorer, d.rows(), 0, stream());
  EXPECT_EQ(list.host(), list_again.host());
}

void best_of_all(const Case& c, const char* user = "user") {
  Case::OnDevice d = c.on_device();
  const Guarded<int32_t> list(c.users);
  TopLists(c.items, 1, user).best(list.matrix(c.users, 1), {}, d.scorer, d.rows(), 0, stream());
}

TEST(TopLists, NamesTheFirstUserWhoseScoresAreNotFinite) {
  EXPECT_NO_THROW(best_of_all(Case(8, 20, 2)));
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity, 3e38f}) {
    Case user(540, 20, 2);
    user.user_embedding[530 * 2] = user.user_embedding[539 * 2] = bad;
    user.item_embedding[0] = 3;
    EXPECT_TRUE(contains(error_of([&] { best_of_all(user); }), "user 530 "));
    EXPECT_TRUE(contains(error_of([&] { best_of_all(user, "item"); }), "of item 530 "));

    // Found although the item is masked for users 0 to 6, and although its score may be -infinity.
    Case item(8, 20, 1);
    std::fill(item.user_embedding.begin(), item.user_embedding.end(), -2.0f);
    item.item_embedding[5] = bad;
    EXPECT_TRUE(contains(error_of([&] { best_of_all(item); }), "user 0 "));
  }
}

TEST(TopLists, AllocatesOnlyItsWorkspace) {
  const Case c(540, 20, 2);
  Case::OnDevice d = c.on_device();
  const Guarded<int32_t> list(c.users * 5);
  TopLists lists(c.items, 5);
  const int64_t before = counters().allocations;
  lists.best(list.matrix(c.users, 5), {}, d.scorer, d.rows(), 0, stream());
  EXPECT_EQ(counters().allocations, before);
  EXPECT_GT(lists.bytes(), 0);
}

TEST(TopLists, WorkspaceOfCiteULikeIsSmall) {
  EXPECT_LT(TopLists(25'181, 500).bytes(), int64_t{64} << 20);
}

TEST(TopLists, RejectsBadShapes) {
  const Case c(10, 20, 2);
  const Case::OnDevice d = c.on_device();
  const Guarded<int32_t> list(100);
  TopLists lists(c.items, 5);
  const auto best = [&](int64_t rows, int64_t r, Matrix<const float> item, int64_t first_user) {
    InnerProductScorer scorer(d.user_embedding, item);
    lists.best(list.matrix(rows, r), {}, scorer, d.rows(), first_user, stream());
  };
  EXPECT_THROW(best(10, 6, d.item_embedding, 0), std::invalid_argument);
  EXPECT_THROW(best(10, 5, d.item_embedding, 1), std::invalid_argument);
  EXPECT_THROW(best(10, 5, d.item_embedding, -1), std::invalid_argument);
  EXPECT_THROW(best(10, 5, d.item_embedding.slice(0, 19), 0), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::top_lists_test
