#include "kernels/evaluate/ranking.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "tests/cases/sort_arrays.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking.h"

namespace derrd::test::ranking_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

std::vector<float> row_of(const std::vector<float>& scores, int64_t row, int64_t cols) {
  const auto begin = scores.begin() + row * cols;
  return {begin, begin + cols};
}

/// select_top's pairs, sorted, and what write_top makes of them.
struct Top {
  std::vector<int32_t> status, items;
  std::vector<float> scores;
};

Top top(const std::vector<float>& scores, int64_t users, int64_t r) {
  const int64_t cols = users == 0 ? 0 : static_cast<int64_t>(scores.size()) / users;
  const Guarded<float> device_scores(scores), list_scores(users * r);
  const cases::SortArrays<Guarded> pairs(users * r);
  const Guarded<int32_t> status(users), items(users * r);
  const Matrix<float> matrix = device_scores.matrix(users, cols);
  select_top(pairs.unsorted(), matrix, status.view(), r, stream());
  pairs.sort_segments(top_value_bits(cols));
  write_top(items.matrix(users, r), list_scores.matrix(users, r), pairs.values.view(), matrix,
            stream());
  return {status.host(), items.host(), list_scores.host()};
}

void expect_top(const std::vector<float>& scores, int64_t users, int64_t r) {
  SCOPED_TRACE(std::to_string(r) + " of " + std::to_string(scores.size()) + " scores of " +
               std::to_string(users) + " users");
  const int64_t cols = users == 0 ? 0 : static_cast<int64_t>(scores.size()) / users;
  const Top actual = top(scores, users, r);
  for (int64_t u = 0; u < users; ++u) {
    const std::vector<float> row = row_of(scores, u, cols);
    std::vector<int32_t> items = oracle::top_items(row, r);
    EXPECT_EQ(actual.status[static_cast<size_t>(u)], static_cast<int32_t>(items.size()));
    items.resize(static_cast<size_t>(r), -1);
    const auto begin = actual.items.begin() + u * r;
    EXPECT_EQ(std::vector<int32_t>(begin, begin + r), items) << "user " << u;
    for (int64_t k = 0; k < r; ++k) {
      const int32_t item = items[static_cast<size_t>(k)];
      EXPECT_EQ(actual.scores[static_cast<size_t>(u * r + k)],
                item < 0 ? -kInfinity : row[static_cast<size_t>(item)]);
    }
  }
}

TEST(SelectTop, MatchesOracleOnEdgeShapes) {
  for (const int64_t items : kEdgeSizes) {
    for (const int64_t r : kEdgeSizes) expect_top(random_normal(3 * items, 1), 3, r);
  }
  expect_top({}, 0, 5);
}

TEST(SelectTop, LongRows) { expect_top(random_normal(2 * 3000, 2), 2, 100); }

TEST(SelectTop, ScoresThatShareTheirHighBits) {
  std::vector<float> scores(700);
  for (const float sign : {1.0f, -1.0f}) {
    for (size_t i = 0; i < scores.size(); ++i) {
      scores[i] = sign * (80.0f + 1e-5f * static_cast<float>(i * 37 % 700));
    }
    for (const int64_t r : {1, 33, 350, 699, 700}) expect_top(scores, 1, r);
  }
}

TEST(SelectTop, TiesGoToTheLowerItem) {
  for (const int64_t r : {1, 32, 33, 100, 256, 257}) {
    expect_top(std::vector<float>(257, -2.5f), 1, r);
    std::vector<float> few;
    for (const int32_t v : random_below(257, 3, 3)) few.push_back(static_cast<float>(v));
    expect_top(few, 1, r);
  }
}

TEST(SelectTop, MinusZeroTiesWithZeroAndDenormalsDoNot) {
  std::vector<float> scores;
  for (const int32_t v : random_below(300, 6, 4)) {
    constexpr float kValues[] = {0.0f, -0.0f, kDenormal, -kDenormal, -2 * kDenormal, -1e-39f};
    scores.push_back(kValues[v]);
  }
  for (int64_t r = 1; r <= 300; r += 13) expect_top(scores, 1, r);
}

TEST(SelectTop, FullRangeOfScores) {
  const float largest = std::numeric_limits<float>::max();
  std::vector<float> scores = random_normal(100, 5, 1e30f);
  scores.insert(scores.end(), {largest, -largest, 80.0f, -80.0f, 1e-30f, -1e-30f});
  for (const int64_t r : {1, 2, 50, 105, 106, 107}) expect_top(scores, 1, r);
}

TEST(SelectTop, MaskedItemsAreNotSelected) {
  std::vector<float> scores = random_normal(4 * 100, 6);
  for (size_t i = 0; i < 100; ++i) scores[i] = -kInfinity;
  for (size_t i = 100; i < 400; i += 3) scores[i] = -kInfinity;
  for (const int64_t r : {1, 60, 66, 67, 100}) expect_top(scores, 4, r);
}

TEST(SelectTop, RowsThatAreNotFiniteAreReported) {
  const float quiet = std::numeric_limits<float>::quiet_NaN();
  const float signalling = std::numeric_limits<float>::signaling_NaN();
  for (const float bad : {quiet, -quiet, signalling, -signalling, kInfinity}) {
    std::vector<float> scores = random_normal(3 * 70, 7);
    scores[70 + 69] = bad;
    const Top actual = top(scores, 3, 4);
    EXPECT_EQ(actual.status, (std::vector<int32_t>{4, -1, 4}));
    EXPECT_EQ((std::vector<int32_t>{actual.items.begin() + 4, actual.items.begin() + 8}),
              (std::vector<int32_t>{-1, -1, -1, -1}));
  }
}

TEST(SelectTop, RejectsBadShapes) {
  const Guarded<float> scores(20);
  const Guarded<uint64_t> keys(8);
  const Guarded<uint32_t> values(8);
  const Guarded<int32_t> status(2);
  const auto select = [&](int64_t rows, int64_t r) {
    select_top({keys.view(), values.view()}, scores.matrix(rows, 5), status.view(), r, stream());
  };
  EXPECT_THROW(select(2, 3), std::invalid_argument);
  EXPECT_THROW(select(4, 2), std::invalid_argument);
  EXPECT_THROW(select(2, -4), std::invalid_argument);
}

TEST(SelectTop, KeysFitSixtyFourBits) {
  EXPECT_EQ(top_value_bits(0), 32);
  EXPECT_EQ(top_value_bits(1), 32);
  EXPECT_EQ(top_value_bits(32), 37);
  EXPECT_EQ(top_value_bits(33), 38);
  constexpr int64_t kItems = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(most_top_users(kItems), 2);
  const Guarded<int32_t> status(3);
  EXPECT_THROW(select_top({}, {nullptr, 3, kItems}, status.view(), 0, stream()),
               std::invalid_argument);
}

TEST(WriteTop, ScoresAreOptional) {
  const Guarded<float> scores = {1.0f, 2.0f};
  const Guarded<uint32_t> sorted = {1u, ~0u};
  const Guarded<int32_t> items(2);
  write_top(items.matrix(1, 2), {}, sorted.const_view(), scores.matrix(1, 2), stream());
  EXPECT_EQ(items.host(), (std::vector<int32_t>{1, -1}));
  EXPECT_THROW(
      write_top(items.matrix(2, 1), {}, sorted.const_view(), scores.matrix(1, 2), stream()),
      std::invalid_argument);
}

TEST(MaskItems, MasksTheTilesUsersAndNothingElse) {
  const Guarded<int64_t> offsets = {0, 2, 2, 5, 40};
  std::vector<int32_t> host_items = {1, 3, 0, 33, 39};
  for (int32_t i = 0; i < 35; ++i) host_items.push_back(i);
  const Guarded<int32_t> items(host_items);
  for (const int64_t first_user : {0, 1, 2}) {
    std::vector<float> expected(2 * 40, 1.5f);
    const Guarded<float> scores(expected);
    mask_items(scores.matrix(2, 40), {offsets.const_view(), items.const_view()}, first_user,
               stream());
    const std::vector<int64_t> o = offsets.host();
    for (int64_t r = 0; r < 2; ++r) {
      const auto u = static_cast<size_t>(first_user + r);
      for (int64_t e = o[u]; e < o[u + 1]; ++e) {
        expected[static_cast<size_t>(r * 40 + host_items[static_cast<size_t>(e)])] = -kInfinity;
      }
    }
    EXPECT_EQ(scores.host(), expected);
  }
  const Guarded<float> scores(80);
  EXPECT_THROW(
      mask_items(scores.matrix(2, 40), {offsets.const_view(), items.const_view()}, 3, stream()),
      std::invalid_argument);
}

TEST(FiniteRows, FindsEveryKindOfBadScore) {
  for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity, -kInfinity}) {
    for (const int64_t items : {1, 33, 257}) {
      std::vector<float> scores = random_normal(3 * items, 8, 1e37f);
      scores[static_cast<size_t>(2 * items - 1)] = bad;
      const Guarded<float> device_scores(scores);
      const Guarded<int32_t> finite(3);
      finite_rows(finite.view(), device_scores.matrix(3, items), stream());
      EXPECT_EQ(finite.host(), (std::vector<int32_t>{1, 0, 1}));
    }
  }
  const Guarded<float> scores(6);
  const Guarded<int32_t> finite(3);
  EXPECT_THROW(finite_rows(finite.view(), scores.matrix(2, 3), stream()), std::invalid_argument);
}

TEST(FullRanks, MatchesOracle) {
  for (const int64_t items : {1, 31, 32, 33, 257}) {
    constexpr int64_t kUsers = 5, kFirst = 2;
    std::vector<float> scores;
    for (const int32_t v : random_below(kUsers * items, 40, 9)) {  // many ties
      scores.push_back(static_cast<float>(v) * 4.0f - 80.0f);
    }
    // 0, 1, 2, ... items of the users.
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> relevant, expected;
    for (int64_t u = 0; u < kUsers + kFirst + 1; ++u) {
      const bool of_tile = u >= kFirst && u < kFirst + kUsers;
      for (int32_t item = 0; item < std::min(u, items); ++item) {
        relevant.push_back(item);
        expected.push_back(
            of_tile ? oracle::full_rank(to_double(row_of(scores, u - kFirst, items)), item) : 77);
      }
      offsets.push_back(static_cast<int64_t>(relevant.size()));
    }
    const Guarded<float> device_scores(scores);
    const Guarded<int64_t> offset(offsets);
    const Guarded<int32_t> item(relevant), rank(std::vector<int32_t>(relevant.size(), 77));
    full_ranks(rank.view(), device_scores.matrix(kUsers, items),
               {offset.const_view(), item.const_view()}, kFirst, stream());
    EXPECT_EQ(rank.host(), expected);
  }
}

TEST(FullRanks, MaskedMissingAndBadScores) {
  const Guarded<float> scores = {-kInfinity, 1.0f, 0.0f,       //
                                 -kInfinity, 1.0f, 0.0f,       //
                                 -kInfinity, 1.0f, 0.0f,       //
                                 -kInfinity, 1.0f, kInfinity,  //
                                 0.0f,       1.0f, std::nanf("")};
  const Guarded<int64_t> offsets = {0, 2, 2, 4, 5, 6};
  const Guarded<int32_t> items = {1, 2, 0, 2, 1, 1}, rank(6);
  const SparseRows relevant = {offsets.const_view(), items.const_view()};
  full_ranks(rank.view(), scores.matrix(5, 3), relevant, 0, stream());
  EXPECT_EQ(rank.host(), (std::vector<int32_t>{1, 2, -1, 2, -1, -1}));
  EXPECT_THROW(full_ranks(rank.view(), scores.matrix(5, 3), relevant, 1, stream()),
               std::invalid_argument);
  const Guarded<int32_t> short_rank(5);
  EXPECT_THROW(full_ranks(short_rank.view(), scores.matrix(5, 3), relevant, 0, stream()),
               std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::ranking_test
