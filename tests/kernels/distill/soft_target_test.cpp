#include "kernels/distill/soft_target.h"

#include <limits>

#include "tests/kernels/distill/slot_loss.h"
#include "tests/oracles/soft_target.h"

namespace derrd::test::soft_target_test {
namespace {

using cases::ascending;

/// `n` targets in [0, 1], both ends among them.
std::vector<float> random_targets(int64_t n, uint64_t seed) {
  std::vector<float> targets;
  for (const int32_t v : random_below(n, 65, seed)) targets.push_back(float(v) / 64.0f);
  return targets;
}

/// @param targets [anchors, slots]
void run(const SlotLoss& f, const std::vector<float>& targets, float scale = 1.0f) {
  const Guarded<float> target(targets);
  soft_target_loss(f.loss.view(), f.gradient(),
                   {.score = f.scores(),
                    .target = target.matrix(f.anchors, f.slots),
                    .batch = f.batch(),
                    .scale = scale},
                   stream());
}

std::vector<double> row_of(const std::vector<float>& table, int32_t row, int64_t slots) {
  const auto begin = table.begin() + row * slots;
  return {begin, begin + slots};
}

// Rounding. A term is a sum of two numbers that are not negative, each off by 6e-7 of it at most; a
// row adds up to 512 of them, whose rounding errors of 6e-8 of the sum mostly cancel. A gradient is
// a difference of numbers of at most 1.
constexpr SlotLossTolerance kTolerance = {.loss_relative = 3e-6, .grad_absolute = 4e-7};

void expect_matches_oracle(const SlotLoss& f, const std::vector<float>& targets,
                           float scale = 1.0f) {
  run(f, targets, scale);
  const auto q = [&](size_t n) { return row_of(targets, f.anchor(n), f.slots); };
  f.expect_matches(
      [&](size_t n) { return oracle::soft_target_loss(f.scores_of(n), q(n), f.present(n)); },
      [&](size_t n) { return oracle::soft_target_grad(f.scores_of(n), q(n), f.present(n)); }, scale,
      kTolerance);
}

TEST(SoftTargetLoss, MatchesOracleOnEdgeShapes) {
  for (const int64_t slots : {0, 1, 31, 32, 33, 50, 257, 512}) {
    for (const int empty : {0, 40}) {
      SCOPED_TRACE(testing::Message() << "n " << slots << ", empty " << empty);
      const SlotLoss f = SlotLoss::random(5, slots, empty, {0, 2, 4}, 2.0f);
      expect_matches_oracle(f, random_targets(5 * slots, 4), 0.25f);
    }
  }
}

TEST(SoftTargetLoss, ManyAnchors) {
  expect_matches_oracle(SlotLoss::random(290, 9, 10, ascending(257, 20)),
                        random_targets(290 * 9, 4));
}

// softplus(s) - q s, rounded as it stands, is off by the rounding of s: 0.001 at 1e4.
TEST(SoftTargetLoss, MatchesOracleAtExtremeScores) {
  for (const float size : {20.0f, 80.0f, 1e4f}) {
    std::vector<float> scores, targets;
    for (const float q : {0.0f, 1e-6f, 0.25f, 0.5f, 0.75f, 1.0f - 0x1p-24f, 1.0f}) {
      for (const float s : {size, -size, 0.0f, -0.0f, 1.0f, -1.0f}) {
        scores.push_back(s);
        targets.push_back(q);
      }
    }
    const auto n = static_cast<int64_t>(scores.size());
    // A slot an anchor, so that no term hides behind another.
    const std::vector<int32_t> samples(scores.size(), 3);
    expect_matches_oracle({{n, 1, samples, ascending(n), 0}, scores}, targets);
    expect_matches_oracle(SlotLoss::of(scores), targets);
  }
}

TEST(SoftTargetLoss, EmptySlotsTakeNoPart) {
  const SlotLoss f = SlotLoss::of({0, 100, 0, 3}, {4, -1, 4, -1});
  run(f, {0.5f, 0, 1.0f, 0.75f});
  EXPECT_NEAR(f.loss.host()[0], 2 * std::log(2.0), 1e-6);
  EXPECT_EQ(f.batch_gradient(), (std::vector<float>{0, 0, -0.5f, 0}));
}

TEST(SoftTargetLoss, MatchesFiniteDifferences) {
  constexpr int64_t kSlots = 12;
  const SlotLoss f = SlotLoss::random(3, kSlots, 20, {0, 2});
  const std::vector<float> targets = random_targets(3 * kSlots, 8);
  run(f, targets);
  f.expect_finite_differences(
      [&](const std::vector<double>& scores, size_t n) {
        return oracle::soft_target_loss(scores, row_of(targets, f.anchor(n), kSlots), f.present(n));
      },
      1e-6, 0);
}

TEST(SoftTargetLoss, AcceptsEmptyInput) {
  const SlotLoss f = SlotLoss::random(1, 2, 0, {});
  run(f, {0.5f, 0.5f});
  EXPECT_EQ(f.loss.host(), std::vector<float>(2, 0.0f));
}

TEST(SoftTargetLoss, KeepsNan) {
  for (const float q : {0.0f, 0.5f, 1.0f}) {
    const SlotLoss f = SlotLoss::of({1, std::nanf("")});
    run(f, {q, q});
    EXPECT_TRUE(std::isnan(f.loss.host()[0]));
    EXPECT_TRUE(std::isnan(f.batch_gradient()[1]));
  }
}

TEST(SoftTargetLoss, SameBitsAtAnyNumberOfThreads) {
  const SlotLoss f = SlotLoss::random(200, 50, 5, ascending(200));
  const auto call = [&] { run(f, random_targets(200 * 50, 4)); };
  EXPECT_EQ(f.bits(1, call), f.bits(2, call));
}

TEST(SoftTargetLoss, RejectsBadShapes) {
  const SlotLoss f = SlotLoss::random(2, 2, 0, {0, 1});
  const Guarded<float> target({1, 1, 1, 1});
  const auto call = [&](int64_t losses, int64_t rows, int64_t slots) {
    soft_target_loss(
        f.loss.view().slice(0, losses), f.gradient(),
        {.score = f.scores(), .target = target.matrix(rows, slots), .batch = f.batch()}, stream());
  };
  EXPECT_NO_THROW(call(4, 2, 2));
  EXPECT_THROW(call(3, 2, 2), std::invalid_argument);
  EXPECT_THROW(call(4, 1, 2), std::invalid_argument);
  EXPECT_THROW(call(4, 2, 1), std::invalid_argument);
}

TEST(SoftTargets, MatchesOracle) {
  for (const int64_t n : kEdgeSizes) {
    std::vector<float> scores = random_normal(n, 9, 3.0f);
    for (size_t i = 0; i < scores.size() && i < 6; ++i) {
      scores[i] = std::vector<float>{80, -80, 1e4f, -1e4f, 0, 5}[i];
    }
    const Guarded<float> score(scores), target(n);
    for (const auto& [t1, t2] : {std::pair{2.0f, 0.0f}, {0.5f, 1.5f}}) {
      soft_targets(target.matrix(1, n), score.matrix(1, n), t1, t2, stream());
      std::vector<double> expected;
      for (const float s : scores) expected.push_back(oracle::soft_target(s, t1, t2));
      // An exponential of an argument that is off by 2e-7 of its size, where the target is normal.
      EXPECT_TRUE(close(target.host(), expected, 1e-37, 2e-5));
    }
  }
}

TEST(SoftTargets, EdgesAndInPlace) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Guarded<float> values({-infinity, 0.0f, 1e30f, std::nanf("")});
  soft_targets(values.matrix(2, 2), values.matrix(2, 2), 2.0f, 0.0f, stream());
  const std::vector<float> targets = values.host();
  EXPECT_EQ(targets[0], 0.0f);
  EXPECT_EQ(targets[1], 0.5f);
  EXPECT_EQ(targets[2], 1.0f);
  EXPECT_TRUE(std::isnan(targets[3]));
}

TEST(SoftTargets, RejectsBadShapes) {
  const Guarded<float> values(4);
  const auto call = [&](int64_t cols, float t1) {
    soft_targets(values.matrix(2, 2), values.matrix(2, cols), t1, 0.0f, stream());
  };
  EXPECT_THROW(call(1, 1.0f), std::invalid_argument);
  for (const float bad : {0.0f, -1.0f, std::nanf("")}) {
    EXPECT_THROW(call(2, bad), std::invalid_argument);
  }
}

}  // namespace
}  // namespace derrd::test::soft_target_test
