#include "kernels/distill/ranking_distillation.h"

#include <limits>
#include <numeric>

#include "tests/finite_differences.h"
#include "tests/kernels/distill/slot_fixture.h"
#include "tests/kernels/support.h"
#include "tests/oracles/ranking_distillation.h"

namespace derrd::test::ranking_distillation_test {
namespace {

using test::close;
using test::finite_differences;
using test::slot_samples;
using test::SlotFixture;
using test::stream;

constexpr int64_t kItems = 1000;

oracle::RankingDistillation described(const RankingDistillationOptions& o) {
  return {o.top,
          o.sharpness,
          o.tolerance,
          o.items,
          o.weight != RankWeight::kStatic,
          o.weight == RankWeight::kRenormalised};
}

void run(const SlotFixture& f, const RankingDistillationOptions& options) {
  ranking_distillation(f.loss.view(), f.gradient(), f.scores(), f.view(), options, stream());
}

std::vector<double> weights_of(const SlotFixture& f, const RankingDistillationOptions& options,
                               int32_t row) {
  return oracle::ranking_distillation_weights(described(options), f.scores_of(row), f.present(row));
}

// Rounding. A weight is a product of an exponential (its argument off by 1e-7 of at most 90, where
// it still counts 1e-6 of that), a tanh and a quotient: 2e-6 of it covers them typically. softplus
// and sigmoid add 6e-7. What is below 1e-9 absolutely does not count.
constexpr double kRelative = 4e-6;
constexpr double kAbsolute = 1e-9;

void expect_matches_oracle(const SlotFixture& f, const RankingDistillationOptions& options) {
  run(f, options);
  const double share =
      options.reduction == AnchorReduction::kMean ? 1.0 / static_cast<double>(f.batch.size()) : 1.0;
  std::vector<double> loss(static_cast<size_t>(f.capacity), 0.0);
  std::vector<double> grad;
  for (size_t n = 0; n < f.batch.size(); ++n) {
    const std::vector<double> scores = f.scores_of(f.batch[n]);
    const std::vector<double> weights = weights_of(f, options, f.batch[n]);
    loss[n] = share * oracle::ranking_distillation_loss(weights, scores);
    for (const double g : oracle::ranking_distillation_grad(weights, scores)) {
      grad.push_back(options.scale * share * g);
    }
  }
  EXPECT_TRUE(close(f.loss.host(), loss, kAbsolute, kRelative));
  EXPECT_TRUE(close(f.live_gradient(), grad, kAbsolute, kRelative));
  f.expect_all_intact();
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
        const int64_t slots = s.top + s.negatives;
        const SlotFixture f(slot_samples(5, slots, empty, 1), test::random_normal(5 * slots, 3),
                            slots, {0, 2, 4});
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
  std::vector<int32_t> batch(257);
  std::iota(batch.begin(), batch.end(), 20);
  const SlotFixture f(slot_samples(290, 14, 10, 1), test::random_normal(290 * 14, 3), 14, batch);
  expect_matches_oracle(f, {.top = 4, .items = kItems, .weight = RankWeight::kDynamic});
}

/// One anchor with these scores.
SlotFixture fixture_of(const std::vector<float>& scores) {
  return {
      std::vector<int32_t>(scores.size(), 7), scores, static_cast<int64_t>(scores.size()), {0}, 0};
}

TEST(RankingDistillation, MatchesOracleAtExtremeScores) {
  for (const float size : {80.0f, 1e4f, 1e30f}) {
    const SlotFixture f = fixture_of({size, -size, 0.0f, -0.0f, size, -size, size, 0.0f, -size});
    for (const RankWeight weight : kAllWeights) {
      SCOPED_TRACE(testing::Message() << size << ", weight " << static_cast<int>(weight));
      expect_matches_oracle(f, {.top = 6, .sharpness = 3.0f, .items = kItems, .weight = weight});
    }
  }
}

TEST(RankingDistillation, SharpnessFromOnePlaceToAllAlike) {
  for (const float sharpness : {1e-30f, 0.01f, 0.3f, 1e4f, 1e30f}) {
    SCOPED_TRACE(sharpness);
    const SlotFixture f = fixture_of(test::random_normal(40, 5));
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
    const SlotFixture f = fixture_of(scores);
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

// The item at place k has k + 1 of 100 negatives above it, so that its rank among 101 is k + 1, one
// too low. The floor of a quotient that was rounded before would be k for some, and their weight 0.
TEST(RankingDistillation, RanksOfWholeQuotients) {
  std::vector<float> scores;
  for (int k = 0; k < 100; ++k) scores.push_back((98.5f - static_cast<float>(k)) / 16);
  for (int j = 0; j < 100; ++j) scores.push_back(static_cast<float>(j) / 16);
  const SlotFixture f = fixture_of(scores);
  run(f, {.top = 100, .sharpness = 1e30f, .items = 101, .weight = RankWeight::kDynamic});
  const std::vector<float> grad = f.live_gradient();
  for (size_t k = 0; k < 100; ++k) {
    const double expected = -std::tanh(0.1) / 100 / (1 + std::exp(static_cast<double>(scores[k])));
    EXPECT_NEAR(grad[k], expected, -1e-5 * expected) << k;
  }
}

TEST(RankingDistillation, WithoutNegativesNothingIsRankedTooLow) {
  SlotFixture f = fixture_of({1, 2, 3, 0, 0});
  f.samples.set({5, 5, 5, -1, -1});
  for (const RankWeight weight : {RankWeight::kDynamic, RankWeight::kRenormalised}) {
    run(f, {.top = 3, .items = kItems, .weight = weight});
    EXPECT_EQ(f.loss.host(), std::vector<float>(1, 0.0f));
    EXPECT_EQ(f.live_gradient(), std::vector<float>(5, 0.0f));
  }
}

TEST(RankingDistillation, RenormalisedWeightsAddUpToOne) {
  // All scores 0: the loss is log 2 times the weights' sum.
  const SlotFixture f = fixture_of({0, 0, 0, 1, 1, 1});
  run(f, {.top = 3, .items = kItems, .weight = RankWeight::kRenormalised});
  EXPECT_NEAR(f.loss.host()[0], std::log(2.0), 1e-6);
  const std::vector<float> grad = f.live_gradient();
  EXPECT_NEAR(grad[0] + grad[1] + grad[2], -0.5, 1e-6);
}

TEST(RankingDistillation, NegativesAndEmptySlotsHaveNoGradient) {
  SlotFixture f = fixture_of({0, 0, 0, 5, 5, 5});
  f.samples.set({4, -1, 4, 4, -1, 4});
  run(f, {.top = 3, .items = kItems, .weight = RankWeight::kDynamic});
  const std::vector<float> grad = f.live_gradient();
  for (const size_t slot : {1, 3, 4, 5}) EXPECT_EQ(grad[slot], 0.0f) << slot;
  for (const size_t slot : {0, 2}) EXPECT_LT(grad[slot], 0.0f) << slot;
}

TEST(RankingDistillation, MatchesFiniteDifferencesAtConstantWeights) {
  constexpr int64_t kSlots = 12;
  const SlotFixture f(slot_samples(3, kSlots, 20, 6), test::random_normal(3 * kSlots, 7), kSlots,
                      {0, 2});
  for (const RankWeight weight : kAllWeights) {
    const RankingDistillationOptions options = {
        .top = 5, .sharpness = 4.0f, .items = kItems, .weight = weight};
    run(f, options);
    std::vector<double> expected;
    for (const int32_t row : f.batch) {
      std::vector<double> scores = f.scores_of(row);
      const std::vector<double> weights = weights_of(f, options, row);
      for (const double d : finite_differences(
               scores, [&] { return oracle::ranking_distillation_loss(weights, scores); })) {
        expected.push_back(d);
      }
    }
    EXPECT_TRUE(close(f.live_gradient(), expected, 1e-7, 1e-5));
  }
}

TEST(RankingDistillation, ScaleConcernsTheGradientAlone) {
  const auto scores = test::random_normal(9, 3);
  const SlotFixture one = fixture_of(scores), half = fixture_of(scores);
  run(one, {.top = 5, .items = kItems});
  run(half, {.top = 5, .items = kItems, .scale = 0.5f});
  EXPECT_EQ(one.loss.host(), half.loss.host());
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(half.live_gradient()[i], 0.5f * one.live_gradient()[i]) << i;
  }
}

TEST(RankingDistillation, LaterBatchReadsItsOwnAnchors) {
  const auto samples = slot_samples(6, 8, 20, 1);
  const auto scores = test::random_normal(6 * 8, 2);
  const RankingDistillationOptions options = {
      .top = 3, .items = kItems, .weight = RankWeight::kDynamic};
  SlotFixture f(samples, scores, 8, {0, 1, 2, 3, 4, 5}, 0);
  f.cursor.set({BatchCursor{1, 4, 2}});  // rows 4 and 5 of the epoch's list
  const std::vector<float> of_batch(scores.begin() + 4 * 8, scores.end());
  copy_to_device(f.score.data(), of_batch.data(), 2 * 8 * 4, stream());
  run(f, options);
  const SlotFixture expected(samples, scores, 8, {4, 5}, 0);
  run(expected, options);
  std::vector<float> loss = expected.loss.host();
  loss.resize(6, 0.0f);
  EXPECT_EQ(f.loss.host(), loss);
}

TEST(RankingDistillation, AcceptsEmptyInput) {
  SlotFixture f = fixture_of({1, 2, 3});
  f.cursor.set({BatchCursor{0, 0, 0}});
  run(f, {.top = 2, .items = kItems, .reduction = AnchorReduction::kMean});
  EXPECT_EQ(f.loss.host(), std::vector<float>(1, 0.0f));
  const SlotFixture nothing({}, {}, 0, {}, 0);
  EXPECT_NO_THROW(run(nothing, {.top = 0, .items = kItems}));
}

TEST(RankingDistillation, KeepsNan) {
  for (const RankWeight weight : kAllWeights) {
    const SlotFixture f = fixture_of({1, std::nanf(""), 3, 4, 5});
    run(f, {.top = 3, .items = kItems, .weight = weight});
    EXPECT_TRUE(std::isnan(f.loss.host()[0]));
  }
}

TEST(RankingDistillation, SameBitsAtAnyNumberOfThreads) {
  std::vector<int32_t> batch(200);
  std::iota(batch.begin(), batch.end(), 0);
  const SlotFixture f(slot_samples(200, 60, 5, 1), test::random_normal(200 * 60, 2), 60, batch);
  const auto bits = [&](int threads) {
    set_threads(threads);
    run(f, {.top = 10, .items = kItems, .weight = RankWeight::kRenormalised});
    set_threads(0);
    std::vector<float> all = f.loss.host();
    const std::vector<float> grad = f.live_gradient();
    all.insert(all.end(), grad.begin(), grad.end());
    return all;
  };
  EXPECT_EQ(bits(1), bits(2));
}

TEST(RankingDistillation, RejectsBadShapes) {
  const SlotFixture f = fixture_of({1, 2, 3});
  const auto call = [&](int64_t losses, int64_t slots, int64_t top, float sharpness,
                        float tolerance) {
    ranking_distillation(
        f.loss.view().slice(0, losses), f.gradient(), f.score.matrix(1, slots), f.view(),
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
