#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>

#include "bench/ladders/relaxed_ranking/levels.h"
#include "tests/kernels/distill/slot_fixture.h"
#include "tests/oracles/relaxed_ranking.h"

namespace derrd::ladder {
/// Prints a level in the tests' names.
void PrintTo(const RelaxedRankingLevel& level, std::ostream* out) { *out << level.name; }
}  // namespace derrd::ladder

namespace derrd::test::relaxed_ranking_test {
namespace {

/// Tolerances of a loss and a gradient, absolute and relative.
struct Tolerance {
  double loss_absolute = 1e-5, loss_relative = 1e-6;
  double grad_absolute = 1e-5, grad_relative = 2e-5;
};
// Scores are exact here, so that only the list-wise part rounds: a z_k is off by 3e-7 of its
// exponentials and 6e-8 of its size. A gradient sums at most 45 of them.
constexpr Tolerance kShortLists = {};
// Sums of up to 512 addends lose at most 512 * 6e-8 and 512 * 3e-7 of 1.
constexpr Tolerance kLongLists = {1e-3, 1e-5, 2e-4, 2e-4};

class RelaxedRankingLadder : public testing::TestWithParam<ladder::RelaxedRankingLevel> {
 protected:
  static void run(const SlotFixture& f, int64_t interesting, float scale = 1.0f,
                  AnchorReduction reduction = AnchorReduction::kSum) {
    GetParam().run(f.loss.view(), f.gradient(), f.scores(), f.view(), interesting, scale, reduction,
                   stream());
  }

  static void expect_matches_oracle(const SlotFixture& f, int64_t interesting,
                                    const Tolerance& tolerance = kShortLists) {
    constexpr float kScale = 0.25f;
    run(f, interesting, kScale);
    std::vector<double> loss, grad;
    for (const int32_t row : f.batch) {
      const std::vector<double> scores = f.scores_of(row);
      const std::vector<bool> present = f.present(row);
      loss.push_back(oracle::relaxed_ranking_loss(scores, present, interesting));
      for (const double g : oracle::relaxed_ranking_grad(scores, present, interesting)) {
        grad.push_back(kScale * g);
      }
    }
    loss.resize(static_cast<size_t>(f.capacity), 0.0);
    EXPECT_TRUE(close(f.loss.host(), loss, tolerance.loss_absolute, tolerance.loss_relative));
    EXPECT_TRUE(close(f.live_gradient(), grad, tolerance.grad_absolute, tolerance.grad_relative));
  }
  /// One user with these scores, no slot empty.
  static SlotFixture one_user(const std::vector<float>& scores) {
    const auto slots = static_cast<int64_t>(scores.size());
    return {std::vector<int32_t>(scores.size(), 7), scores, slots, {0}, 0};
  }
  /// A table of `rows` users with normal scores, `empty` in a hundred slots empty.
  static SlotFixture random_users(int64_t rows, int64_t slots, int empty,
                                  const std::vector<int32_t>& batch, float deviation = 1.0f) {
    return {slot_samples(rows, slots, empty, 1), random_normal(rows * slots, 3, deviation), slots,
            batch};
  }
};

INSTANTIATE_TEST_SUITE_P(Levels, RelaxedRankingLadder,
                         testing::ValuesIn(ladder::kRelaxedRankingLevels),
                         [](const auto& level) { return std::string(level.param.name); });

TEST_P(RelaxedRankingLadder, MatchesOracleOnEdgeShapes) {
  struct Shape {
    int64_t interesting, uninteresting;
  };
  for (const Shape s : {Shape{1, 0}, Shape{0, 1}, Shape{1, 1}, Shape{15, 16}, Shape{31, 0},
                        Shape{0, 32}, Shape{16, 16}, Shape{33, 0}, Shape{1, 32}, Shape{31, 33},
                        Shape{32, 32}, Shape{33, 31}, Shape{40, 40}, Shape{3, 150}}) {
    SCOPED_TRACE(testing::Message() << "K " << s.interesting << ", L " << s.uninteresting);
    expect_matches_oracle(random_users(5, s.interesting + s.uninteresting, 0, {0, 2, 4}),
                          s.interesting);
  }
}

TEST_P(RelaxedRankingLadder, MatchesOracleAtTheLimits) {
  for (const int64_t interesting : {int64_t{1}, kMaxRankingSamples / 2, kMaxRankingSamples}) {
    SCOPED_TRACE(testing::Message() << interesting << " interesting");
    expect_matches_oracle(random_users(4, kMaxRankingSamples, 5, {0, 1, 3}, 0.2f), interesting,
                          kLongLists);
  }
}

TEST_P(RelaxedRankingLadder, EmptySlotsTakeNoPart) {
  for (const int empty : {40, 95}) {
    expect_matches_oracle(random_users(6, 71, empty, {0, 1, 3, 5}), 34);
  }
}

TEST_P(RelaxedRankingLadder, ManyUsers) {
  std::vector<int32_t> batch(150);
  std::iota(batch.begin(), batch.end(), 20);
  for (const int64_t slots : {4, 33, 80}) {
    SCOPED_TRACE(testing::Message() << slots << " slots");
    expect_matches_oracle(random_users(190, slots, 10, batch, 3.0f), slots / 2);
  }
}

TEST_P(RelaxedRankingLadder, UserWithoutItemsHasNoLoss) {
  std::vector<int32_t> samples(14, 1);
  std::fill_n(samples.begin(), 7, -1);      // user 0: nothing at all
  std::fill_n(samples.begin() + 7, 3, -1);  // user 1: nothing interesting
  const SlotFixture f(samples, random_normal(14, 3), 7, {0, 1}, 0);
  run(f, 3);
  EXPECT_EQ(f.loss.host(), (std::vector<float>{0.0f, 0.0f}));
  EXPECT_EQ(f.grad_score.host(), std::vector<float>(14, 0.0f));
}

TEST_P(RelaxedRankingLadder, MatchesOracleAtExtremeScores) {
  for (const float size : {80.0f, 1e4f}) {
    std::vector<float> falling(40);
    for (size_t i = 0; i < falling.size(); ++i) {
      falling[i] = size * (1.0f - static_cast<float>(i) / 19.5f);
    }
    std::vector<float> rising(falling.rbegin(), falling.rend());
    std::vector<float> alternating(40);
    for (size_t i = 0; i < 40; ++i) alternating[i] = i % 2 == 0 ? size : -size;
    std::vector<float> near_the_bottom(40);  // a suffix whose terms only matter to each other
    for (size_t i = 0; i < 40; ++i) {
      near_the_bottom[i] = i < 4 ? size : -size + 0.25f * static_cast<float>(i % 7);
    }
    for (const int64_t interesting : {40, 39, 20, 1}) {
      SCOPED_TRACE(testing::Message() << "size " << size << ", K " << interesting);
      for (const auto* scores : {&falling, &rising, &alternating, &near_the_bottom}) {
        expect_matches_oracle(one_user(*scores), interesting);
      }
    }
  }
}

TEST_P(RelaxedRankingLadder, TiedScores) {
  // All equal: z_k - r = log(number of terms).
  const SlotFixture f = one_user(std::vector<float>(8, 3.0f));
  run(f, 4);
  const double expected = std::log(8.0) + std::log(7.0) + std::log(6.0) + std::log(5.0);
  EXPECT_TRUE(close(f.loss.host(), std::vector<double>{expected}, 1e-6, 1e-6));
}

TEST_P(RelaxedRankingLadder, ALateChoiceOfOneItemKeepsTheMassOfAllBefore) {
  // The mass of 39 choices comes to the last item, whose probability is just below 1.
  std::vector<float> scores(80, -6.0f);
  scores[39] = 6.0f;
  expect_matches_oracle(one_user(scores), 40);
}

TEST_P(RelaxedRankingLadder, AcceptsEmptyInput) {
  SlotFixture f = random_users(3, 5, 0, {0, 1});
  f.cursor.set({BatchCursor{0, 0, 0}});
  run(f, 2, 1.0f, AnchorReduction::kMean);
  EXPECT_EQ(f.loss.host(), std::vector<float>(4, 0.0f));
}

TEST_P(RelaxedRankingLadder, LaterBatchReadsItsOwnUsers) {
  const SlotFixture all = random_users(6, 9, 0, {0, 1, 2, 3, 4, 5}, 0);
  run(all, 4);
  SlotFixture later = random_users(6, 9, 0, {0, 1, 2, 3, 4, 5}, 0);
  later.cursor.set({BatchCursor{1, 4, 2}});  // rows 4 and 5 of the epoch's list
  later.score.set([&] {
    std::vector<float> scores = all.score.host();
    std::rotate(scores.begin(), scores.begin() + 4 * 9, scores.begin() + 6 * 9);
    return scores;
  }());
  run(later, 4);
  const std::vector<float> loss = all.loss.host();
  EXPECT_EQ(later.loss.host(), (std::vector<float>{loss[4], loss[5], 0, 0, 0, 0, 0, 0}));
}

TEST_P(RelaxedRankingLadder, KeepsNan) {
  for (const size_t where : {0u, 2u, 3u, 5u}) {
    std::vector<float> scores = {1, 5, -3, 2, 0, 4};
    scores[where] = std::numeric_limits<float>::quiet_NaN();
    const SlotFixture f = one_user(scores);
    run(f, 3);
    EXPECT_TRUE(std::isnan(f.loss.host()[0])) << "score " << where;
  }
}

TEST_P(RelaxedRankingLadder, TheMeanIsTheSumOverTheNumberOfUsers) {
  const SlotFixture sum = random_users(9, 7, 0, {1, 4, 8});
  const SlotFixture mean = random_users(9, 7, 0, {1, 4, 8});
  run(sum, 5, 0.5f);
  run(mean, 5, 0.5f, AnchorReduction::kMean);
  // A gradient is a sum of at most 6 numbers of size 1, and is scaled before or after it.
  const auto expect_third = [](const std::vector<float>& part, const std::vector<float>& whole) {
    std::vector<double> expected;
    for (const float w : whole) expected.push_back(w / 3.0);
    EXPECT_TRUE(close(part, expected, 5e-7, 5e-7));
  };
  expect_third(mean.loss.host(), sum.loss.host());
  expect_third(mean.live_gradient(), sum.live_gradient());
}

TEST_P(RelaxedRankingLadder, SameBitsAtAnyNumberOfThreads) {
  std::vector<int32_t> batch(180);
  std::iota(batch.begin(), batch.end(), 0);
  const auto bits = [&](int threads) {
    set_threads(threads);
    const SlotFixture f = random_users(200, 16, 0, batch);
    run(f, 8);
    set_threads(0);
    std::vector<float> all = f.live_gradient();
    const std::vector<float> loss = f.loss.host();
    all.insert(all.end(), loss.begin(), loss.end());
    return all;
  };
  EXPECT_EQ(bits(1), bits(2));
}

TEST_P(RelaxedRankingLadder, RejectsBadShapes) {
  const SlotFixture f = random_users(3, 4, 0, {0, 1});
  const auto level = [&](int64_t interesting, int64_t losses, int64_t scores, int64_t grads) {
    GetParam().run(f.loss.view().slice(0, losses), f.grad_score.matrix(4, grads),
                   f.score.matrix(4, scores), f.view(), interesting, 1.0f, AnchorReduction::kSum,
                   stream());
  };
  EXPECT_NO_THROW(level(2, 4, 4, 4));
  EXPECT_THROW(level(5, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(level(-1, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(level(2, 3, 4, 4), std::invalid_argument);
  EXPECT_THROW(level(2, 4, 3, 4), std::invalid_argument);
  EXPECT_THROW(level(2, 4, 4, 3), std::invalid_argument);
  EXPECT_THROW(run(random_users(1, kMaxRankingSamples + 1, 0, {0}), 1), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::relaxed_ranking_test
