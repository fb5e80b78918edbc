#pragma once

// Tests of the contract in kernels/distill/relaxed_ranking.h, for the operation and for the levels
// of its ladder. A program includes them once and instantiates them with its implementations.

#include <cmath>
#include <limits>
#include <ostream>
#include <stdexcept>

#include "kernels/distill/relaxed_ranking.h"
#include "tests/kernels/distill/slot_loss.h"
#include "tests/oracles/relaxed_ranking.h"

namespace derrd::test::relaxed_ranking_test {

using cases::ascending;

// A z_k is off by 3e-7 of its exponentials and 6e-8 of its size. A gradient sums at most 45 of
// them.
constexpr SlotLossTolerance kShortLists = {1e-5, 1e-6, 1e-5, 2e-5};
// Sums of up to 512 addends lose at most 512 * 6e-8 and 512 * 3e-7 of 1.
constexpr SlotLossTolerance kLongLists = {1e-3, 1e-5, 2e-4, 2e-4};

/// An implementation of the operation.
struct Implementation {
  const char* name;
  decltype(relaxed_ranking)* run;

  friend void PrintTo(const Implementation& i, std::ostream* out) { *out << i.name; }
};

class RelaxedRanking : public testing::TestWithParam<Implementation> {
 protected:
  static void run(const SlotLoss& f, int64_t interesting, float scale = 1.0f,
                  AnchorReduction reduction = AnchorReduction::kSum) {
    GetParam().run(f.loss.view(), f.gradient(),
                   {.score = f.scores(),
                    .batch = f.batch(),
                    .interesting = interesting,
                    .scale = scale,
                    .reduction = reduction},
                   stream());
  }

  static void expect_matches_oracle(const SlotLoss& f, int64_t interesting,
                                    const SlotLossTolerance& tolerance = kShortLists) {
    constexpr float kScale = 0.25f;
    run(f, interesting, kScale);
    f.expect_matches(
        [&](size_t n) {
          return oracle::relaxed_ranking_loss(f.scores_of(n), f.present(n), interesting);
        },
        [&](size_t n) {
          return oracle::relaxed_ranking_grad(f.scores_of(n), f.present(n), interesting);
        },
        kScale, tolerance);
  }
};

TEST_P(RelaxedRanking, MatchesOracleOnEdgeShapes) {
  struct Shape {
    int64_t interesting, uninteresting;
  };
  for (const Shape s :
       {Shape{1, 0}, Shape{0, 1}, Shape{1, 1}, Shape{15, 16}, Shape{31, 0}, Shape{0, 32},
        Shape{0, 33}, Shape{16, 16}, Shape{33, 0}, Shape{1, 32}, Shape{31, 33}, Shape{32, 32},
        Shape{33, 31}, Shape{40, 40}, Shape{3, 150}}) {
    SCOPED_TRACE(testing::Message() << "K " << s.interesting << ", L " << s.uninteresting);
    expect_matches_oracle(SlotLoss::random(5, s.interesting + s.uninteresting, 0, {0, 2, 4}),
                          s.interesting);
  }
}

TEST_P(RelaxedRanking, MatchesOracleAtTheLimits) {
  for (const int64_t interesting : {int64_t{1}, kMaxRankingSamples / 2, kMaxRankingSamples}) {
    SCOPED_TRACE(testing::Message() << interesting << " interesting");
    expect_matches_oracle(SlotLoss::random(4, kMaxRankingSamples, 5, {0, 1, 3}, 0.2f), interesting,
                          kLongLists);
  }
}

TEST_P(RelaxedRanking, EmptySlotsTakeNoPart) {
  for (const int empty : {40, 95}) {
    expect_matches_oracle(SlotLoss::random(6, 71, empty, {0, 1, 3, 5}), 34);
  }
}

TEST_P(RelaxedRanking, ManyUsers) {
  for (const int64_t slots : {4, 33, 80}) {
    SCOPED_TRACE(testing::Message() << slots << " slots");
    expect_matches_oracle(SlotLoss::random(190, slots, 10, ascending(150, 20), 3.0f), slots / 2);
  }
}

TEST_P(RelaxedRanking, UserWithoutItemsHasNoLoss) {
  std::vector<int32_t> samples(14, 1);
  std::fill_n(samples.begin(), 7, -1);      // user 0: nothing at all
  std::fill_n(samples.begin() + 7, 3, -1);  // user 1: nothing interesting
  const SlotLoss f = {{2, 7, samples, {0, 1}, 0}, random_normal(14, 3)};
  run(f, 3);
  EXPECT_EQ(f.loss.host(), (std::vector<float>{0.0f, 0.0f}));
  EXPECT_EQ(f.grad_score.host(), std::vector<float>(14, 0.0f));
}

TEST_P(RelaxedRanking, MatchesOracleAtExtremeScores) {
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
        expect_matches_oracle(SlotLoss::of(*scores), interesting);
      }
    }
  }
}

TEST_P(RelaxedRanking, TiedScores) {
  // All equal: z_k - r = log(number of terms).
  const SlotLoss f = SlotLoss::of(std::vector<float>(8, 3.0f));
  run(f, 4);
  const double expected = std::log(8.0) + std::log(7.0) + std::log(6.0) + std::log(5.0);
  EXPECT_TRUE(close(f.loss.host(), std::vector<double>{expected}, 1e-6, 1e-6));
}

TEST_P(RelaxedRanking, MatchesFiniteDifferences) {
  constexpr int64_t kInteresting = 5;
  const SlotLoss f = SlotLoss::random(4, 9, 20, {0, 2, 3});
  run(f, kInteresting);
  f.expect_finite_differences(
      [&](const std::vector<double>& scores, size_t n) {
        return oracle::relaxed_ranking_loss(scores, f.present(n), kInteresting);
      },
      1e-5, 1e-5);
}

TEST_P(RelaxedRanking, ALateChoiceOfOneItemKeepsTheMassOfAllBefore) {
  // The mass of 39 choices comes to the last item, whose probability is just below 1.
  std::vector<float> scores(80, -6.0f);
  scores[39] = 6.0f;
  expect_matches_oracle(SlotLoss::of(scores), 40);
}

TEST_P(RelaxedRanking, AcceptsEmptyInput) {
  const SlotLoss f = SlotLoss::random(3, 5, 0, {});
  run(f, 2, 1.0f, AnchorReduction::kMean);
  EXPECT_EQ(f.loss.host(), std::vector<float>(2, 0.0f));
}

TEST_P(RelaxedRanking, LaterBatchReadsItsOwnUsers) {
  SlotLoss f = SlotLoss::random(6, 9, 40, ascending(6));
  run(f, 4);
  const std::vector<float> loss = f.loss.host();
  f.begin_at(4);
  run(f, 4);
  EXPECT_EQ(f.loss.host(), (std::vector<float>{loss[4], loss[5], 0, 0, 0, 0, 0, 0}));
}

TEST_P(RelaxedRanking, KeepsNan) {
  for (const size_t where : {0u, 2u, 3u, 5u}) {
    std::vector<float> scores = {1, 5, -3, 2, 0, 4};
    scores[where] = std::numeric_limits<float>::quiet_NaN();
    const SlotLoss f = SlotLoss::of(scores);
    run(f, 3);
    EXPECT_TRUE(std::isnan(f.loss.host()[0])) << "score " << where;
  }
}

TEST_P(RelaxedRanking, TheMeanIsTheSumOverTheNumberOfUsers) {
  const SlotLoss sum = SlotLoss::random(9, 7, 0, {1, 4, 8});
  const SlotLoss mean = SlotLoss::random(9, 7, 0, {1, 4, 8});
  run(sum, 5, 0.5f);
  run(mean, 5, 0.5f, AnchorReduction::kMean);
  // A gradient is a sum of at most 6 numbers of size 1, and is scaled before or after it.
  const auto expect_third = [](const std::vector<float>& part, const std::vector<float>& whole) {
    std::vector<double> expected;
    for (const float w : whole) expected.push_back(w / 3.0);
    EXPECT_TRUE(close(part, expected, 5e-7, 5e-7));
  };
  expect_third(mean.loss.host(), sum.loss.host());
  expect_third(mean.batch_gradient(), sum.batch_gradient());
}

TEST_P(RelaxedRanking, SameBitsAtAnyNumberOfThreads) {
  const SlotLoss f = SlotLoss::random(200, 16, 0, ascending(180));
  const auto call = [&] { run(f, 8); };
  EXPECT_EQ(f.bits(1, call), f.bits(2, call));
}

TEST_P(RelaxedRanking, RejectsBadShapes) {
  const SlotLoss f = SlotLoss::random(3, 4, 0, {0, 1});
  const auto call = [&](int64_t interesting, int64_t losses, int64_t scores, int64_t grads) {
    GetParam().run(
        f.loss.view().slice(0, losses), f.grad_score.matrix(4, grads),
        {.score = f.score.matrix(4, scores), .batch = f.batch(), .interesting = interesting},
        stream());
  };
  EXPECT_NO_THROW(call(2, 4, 4, 4));
  EXPECT_THROW(call(5, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(call(-1, 4, 4, 4), std::invalid_argument);
  EXPECT_THROW(call(2, 3, 4, 4), std::invalid_argument);
  EXPECT_THROW(call(2, 4, 3, 4), std::invalid_argument);
  EXPECT_THROW(call(2, 4, 4, 3), std::invalid_argument);
  EXPECT_THROW(run(SlotLoss::random(1, kMaxRankingSamples + 1, 0, {0}), 1), std::invalid_argument);
}

}  // namespace derrd::test::relaxed_ranking_test
