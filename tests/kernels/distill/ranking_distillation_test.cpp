#include "kernels/distill/ranking_distillation.h"

#include <limits>

#include "tests/kernels/distill/slot_loss.h"
#include "tests/oracles/ranking_distillation.h"

namespace derrd::test::ranking_distillation_test {
namespace {

using cases::ascending;

constexpr int64_t kItems = 1000;

oracle::RankingDistillation described(const RankingDistillationOptions& o) {
  return {o.top,
          o.sharpness,
          o.tolerance,
          o.items,
          o.weight != RankWeight::kStatic,
          o.weight == RankWeight::kRenormalised};
}

void run(const SlotLoss& f, const RankingDistillationOptions& options) {
  ranking_distillation(f.loss.view(), f.gradient(), f.scores(), f.batch(), options, stream());
}

std::vector<double> weights_of(const SlotLoss& f, const RankingDistillationOptions& options,
                               size_t n) {
  return oracle::ranking_distillation_weights(described(options), f.scores_of(n), f.present(n));
}

// Rounding. A weight is a product of an exponential (its argument off by 1e-7 of at most 90, where
// it still counts 1e-6 of that), a tanh and a quotient: 2e-6 of it covers them typically. softplus
// and sigmoid add 6e-7. What is below 1e-9 absolutely does not count.
constexpr SlotLossTolerance kTolerance = {1e-9, 4e-6, 1e-9, 4e-6};

void expect_matches_oracle(const SlotLoss& f, const RankingDistillationOptions& options) {
  run(f, options);
  const size_t anchors = f.batch_rows.rows.size();
  const double share =
      options.reduction == AnchorReduction::kMean ? 1.0 / static_cast<double>(anchors) : 1.0;
  const auto weights = [&](size_t n) { return weights_of(f, options, n); };
  f.expect_matches(
      [&](size_t n) {
        return share * oracle::ranking_distillation_loss(weights(n), f.scores_of(n));
      },
      [&](size_t n) { return oracle::ranking_distillation_grad(weights(n), f.scores_of(n)); },
      options.scale * share, kTolerance);
}

constexpr RankWeight kAllWeights[] = {RankWeight::kStatic, RankWeight::kDynamic,
                                      RankWeight::kRenormalised};

TEST(RankingDistillation, MatchesOracleOnEdgeShapes) {
  struct Shape {
    int64_t top, negatives;
  };
  for (const Shape s :
       {Shape{0, 0}, Shape{1, 0}, Shape{0, 1}, Shape{1, 1}, Shape{10, 100}, Shape{31, 33},
        Shape{32, 32}, Shape{33, 31}, Shape{257, 255}, Shape{3, 257}, Shape{512, 0}}) {
    for (const int empty : {0, 30}) {
      for (const RankWeight weight : kAllWeights) {
        SCOPED_TRACE(testing::Message() << "K " << s.top << ", N " << s.negatives << ", empty "
                                        << empty << ", weight " << static_cast<int>(weight));
        const SlotLoss f = SlotLoss::random(5, s.top + s.negatives, empty, {0, 2, 4});
        for (const AnchorReduction reduction : {AnchorReduction::kSum, AnchorReduction::kMean}) {
          expect_matches_oracle(f, {.top = s.top,
                                    .sharpness = 9.0f,
                                    .tolerance = 0.01f,
                                    .items = kItems,
                                    .weight = weight,
                                    .scale = 0.25f,
                                    .reduction = reduction});
        }
      }
    }
  }
}

TEST(RankingDistillation, ManyAnchors) {
  const SlotLoss f = SlotLoss::random(290, 14, 10, ascending(257, 20));
  expect_matches_oracle(f, {.top = 4, .items = kItems, .weight = RankWeight::kDynamic});
}

TEST(RankingDistillation, MatchesOracleAtExtremeScores) {
  for (const float size : {80.0f, 1e4f, 1e30f}) {
    const SlotLoss f = SlotLoss::of({size, -size, 0.0f, -0.0f, size, -size, size, 0.0f, -size});
    for (const RankWeight weight : kAllWeights) {
      SCOPED_TRACE(testing::Message() << size << ", weight " << static_cast<int>(weight));
      expect_matches_oracle(f, {.top = 6, .sharpness = 3.0f, .items = kItems, .weight = weight});
    }
  }
}

TEST(RankingDistillation, SharpnessFromOnePositionToAllAlike) {
  for (const float sharpness : {1e-30f, 0.01f, 0.3f, 1e4f, 1e30f}) {
    SCOPED_TRACE(sharpness);
    const SlotLoss f = SlotLoss::of(random_normal(40, 5));
    expect_matches_oracle(f, {.top = 40, .sharpness = sharpness, .items = kItems});
  }
}

// Four negatives of 9 items: the estimated rank is 2 for each that scores higher; ties do not.
TEST(RankingDistillation, EstimatesRanksFromTheNegativesAbove) {
  const std::vector<float> negatives = {3, 2, 2, 1};
  const auto weight_at = [&](float score, int64_t k) {
    std::vector<float> scores(static_cast<size_t>(k), 100.0f);  // nothing is above these
    scores.push_back(score);
    scores.insert(scores.end(), negatives.begin(), negatives.end());
    const SlotLoss f = SlotLoss::of(scores);
    run(f, {.top = k + 1, .sharpness = 1e30f, .items = 9, .weight = RankWeight::kDynamic});
    const double softplus = std::log1p(std::exp(-static_cast<double>(score)));
    return f.loss.host()[0] / softplus * static_cast<double>(k + 1);
  };
  const auto tanh_of = [](int64_t distance) {
    return std::tanh(0.1 * static_cast<double>(distance));
  };
  EXPECT_NEAR(weight_at(0, 0), tanh_of(8), 1e-6);
  EXPECT_NEAR(weight_at(1, 0), tanh_of(6), 1e-6);
  EXPECT_NEAR(weight_at(2, 0), tanh_of(2), 1e-6);
  EXPECT_NEAR(weight_at(2.5, 0), tanh_of(2), 1e-6);
  EXPECT_EQ(weight_at(3, 0), 0.0);
  EXPECT_NEAR(weight_at(0, 3), tanh_of(5), 1e-6);
  EXPECT_EQ(weight_at(2, 2), 0.0) << "the student ranks it where the teacher does";
  EXPECT_EQ(weight_at(2, 3), 0.0) << "the student ranks it higher than the teacher";
}

// The item at position k has k + 1 of 100 negatives above it, so that its rank among 101 is k + 1,
// one too low. The floor of a quotient that was rounded before would be k for some, and their
// weight 0.
TEST(RankingDistillation, RanksOfWholeQuotients) {
  std::vector<float> scores;
  for (int k = 0; k < 100; ++k) scores.push_back((98.5f - static_cast<float>(k)) / 16);
  for (int j = 0; j < 100; ++j) scores.push_back(static_cast<float>(j) / 16);
  const SlotLoss f = SlotLoss::of(scores);
  run(f, {.top = 100, .sharpness = 1e30f, .items = 101, .weight = RankWeight::kDynamic});
  const std::vector<float> grad = f.batch_gradient();
  for (size_t k = 0; k < 100; ++k) {
    const double expected = -std::tanh(0.1) / 100 / (1 + std::exp(static_cast<double>(scores[k])));
    EXPECT_NEAR(grad[k], expected, -1e-5 * expected) << k;
  }
}

TEST(RankingDistillation, WithoutNegativesNothingIsRankedTooLow) {
  const SlotLoss f = SlotLoss::of({1, 2, 3, 0, 0}, {5, 5, 5, -1, -1});
  for (const RankWeight weight : {RankWeight::kDynamic, RankWeight::kRenormalised}) {
    run(f, {.top = 3, .items = kItems, .weight = weight});
    EXPECT_EQ(f.loss.host(), std::vector<float>(1, 0.0f));
    EXPECT_EQ(f.batch_gradient(), std::vector<float>(5, 0.0f));
  }
}

TEST(RankingDistillation, RenormalisedWeightsAddUpToOne) {
  // All scores 0: the loss is log 2 times the weights' sum.
  const SlotLoss f = SlotLoss::of({0, 0, 0, 1, 1, 1});
  run(f, {.top = 3, .items = kItems, .weight = RankWeight::kRenormalised});
  EXPECT_NEAR(f.loss.host()[0], std::log(2.0), 1e-6);
  const std::vector<float> grad = f.batch_gradient();
  EXPECT_NEAR(grad[0] + grad[1] + grad[2], -0.5, 1e-6);
}

TEST(RankingDistillation, NegativesAndEmptySlotsHaveNoGradient) {
  const SlotLoss f = SlotLoss::of({0, 0, 0, 5, 5, 5}, {4, -1, 4, 4, -1, 4});
  run(f, {.top = 3, .items = kItems, .weight = RankWeight::kDynamic});
  const std::vector<float> grad = f.batch_gradient();
  for (const size_t slot : {1, 3, 4, 5}) EXPECT_EQ(grad[slot], 0.0f) << slot;
  for (const size_t slot : {0, 2}) EXPECT_LT(grad[slot], 0.0f) << slot;
}

TEST(RankingDistillation, MatchesFiniteDifferencesAtConstantWeights) {
  const SlotLoss f = SlotLoss::random(3, 12, 20, {0, 2});
  for (const RankWeight weight : kAllWeights) {
    const RankingDistillationOptions options = {
        .top = 5, .sharpness = 4.0f, .items = kItems, .weight = weight};
    run(f, options);
    f.expect_finite_differences(
        [&](const std::vector<double>& scores, size_t n) {
          return oracle::ranking_distillation_loss(weights_of(f, options, n), scores);
        },
        1e-7, 1e-5);
  }
}

TEST(RankingDistillation, ScaleConcernsTheGradientAlone) {
  const auto scores = random_normal(9, 3);
  const SlotLoss one = SlotLoss::of(scores), half = SlotLoss::of(scores);
  run(one, {.top = 5, .items = kItems});
  run(half, {.top = 5, .items = kItems, .scale = 0.5f});
  EXPECT_EQ(one.loss.host(), half.loss.host());
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(half.batch_gradient()[i], 0.5f * one.batch_gradient()[i]) << i;
  }
}

TEST(RankingDistillation, LaterBatchReadsItsOwnAnchors) {
  const RankingDistillationOptions options = {
      .top = 3, .items = kItems, .weight = RankWeight::kDynamic};
  SlotLoss f = SlotLoss::random(6, 8, 20, ascending(6));
  run(f, options);
  const std::vector<float> loss = f.loss.host();
  f.begin_at(4);
  run(f, options);
  EXPECT_EQ(f.loss.host(), (std::vector<float>{loss[4], loss[5], 0, 0, 0, 0, 0, 0}));
}

TEST(RankingDistillation, AcceptsEmptyInput) {
  const SlotLoss f = SlotLoss::random(1, 3, 0, {});
  run(f, {.top = 2, .items = kItems, .reduction = AnchorReduction::kMean});
  EXPECT_EQ(f.loss.host(), std::vector<float>(2, 0.0f));
  const SlotLoss nothing = {{5, 0, {}, {}, 0}, std::vector<float>()};
  EXPECT_NO_THROW(run(nothing, {.top = 0, .items = kItems}));
}

TEST(RankingDistillation, KeepsNan) {
  for (const RankWeight weight : kAllWeights) {
    const SlotLoss f = SlotLoss::of({1, std::nanf(""), 3, 4, 5});
    run(f, {.top = 3, .items = kItems, .weight = weight});
    EXPECT_TRUE(std::isnan(f.loss.host()[0]));
  }
}

TEST(RankingDistillation, SameBitsAtAnyNumberOfThreads) {
  const SlotLoss f = SlotLoss::random(200, 60, 5, ascending(200));
  const auto call = [&] {
    run(f, {.top = 10, .items = kItems, .weight = RankWeight::kRenormalised});
  };
  EXPECT_EQ(f.bits(1, call), f.bits(2, call));
}

TEST(RankingDistillation, RejectsBadShapes) {
  const SlotLoss f = SlotLoss::of({1, 2, 3});
  const auto call = [&](int64_t losses, int64_t slots, int64_t top, float sharpness,
                        float tolerance) {
    ranking_distillation(
        f.loss.view().slice(0, losses), f.gradient(), f.score.matrix(1, slots), f.batch(),
        {.top = top, .sharpness = sharpness, .tolerance = tolerance, .items = 9}, stream());
  };
  EXPECT_NO_THROW(call(1, 3, 3, 1, 1));
  EXPECT_THROW(call(0, 3, 3, 1, 1), std::invalid_argument);
  EXPECT_THROW(call(1, 2, 2, 1, 1), std::invalid_argument);
  EXPECT_THROW(call(1, 3, 4, 1, 1), std::invalid_argument);
  EXPECT_THROW(call(1, 3, -1, 1, 1), std::invalid_argument);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0f, -1.0f, nan, std::numeric_limits<float>::infinity()}) {
    EXPECT_THROW(call(1, 3, 3, bad, 1), std::invalid_argument);
    EXPECT_THROW(call(1, 3, 3, 1, bad), std::invalid_argument);
  }
}

}  // namespace
}  // namespace derrd::test::ranking_distillation_test
