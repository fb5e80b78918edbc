#include "kernels/update/end_step.h"

#include <array>

#include "kernels/common/sum.h"
#include "tests/kernels/support.h"

namespace derrd::test::end_step_test {
namespace {

/// Adam's counter and a ring of factors, in device memory.
struct History {
  explicit History(int64_t made) : steps({made}), corrections(std::vector<AdamCorrections>(4)) {}
  AdamHistory view() const { return {steps.data(), corrections.view()}; }
  Guarded<int64_t> steps;
  Guarded<AdamCorrections> corrections;
};

std::vector<float> flat(const History& history) {
  std::vector<float> all;
  for (const AdamCorrections& c : history.corrections.host()) {
    all.insert(all.end(), {c.step_size, c.inverse_root_correction});
  }
  return all;
}

// Lists of edge sizes, of one loss and of several.
TEST(EndStep, AddsLossesAsAccumulateSumDoes) {
  const auto sizes = static_cast<int64_t>(std::size(kEdgeSizes));
  const Guarded<double> totals(std::vector<double>(static_cast<size_t>(sizes), 0.5));
  const Guarded<double> expected(std::vector<double>(static_cast<size_t>(sizes), 0.5));
  std::vector<Guarded<float>> terms;
  terms.reserve(static_cast<size_t>(2 * sizes));
  std::vector<LossTerms> losses;
  for (int64_t l = 0; l < 2 * sizes; ++l) {
    terms.emplace_back(random_normal(kEdgeSizes[l % sizes], 3 + static_cast<uint64_t>(l)));
    losses.push_back({totals.data() + l % sizes, terms.back().const_view()});
    accumulate_sum(expected.data() + l % sizes, terms.back().const_view(), stream());
  }
  ASSERT_LE(losses.size(), static_cast<size_t>(kMaxLossTerms));
  const History history(0);
  end_step(losses, {}, history.view(), {}, stream());
  EXPECT_EQ(totals.host(), expected.host());
}

TEST(EndStep, KeepsNan) {
  const Guarded<double> totals({1.0, 2.0});
  const Guarded<float> bad({0.0f, std::numeric_limits<float>::quiet_NaN()}), good({3.0f, 4.0f});
  const std::array<LossTerms, 2> losses = {
      {{totals.data(), bad.const_view()}, {totals.data() + 1, good.const_view()}}};
  const History history(0);
  end_step(losses, {}, history.view(), {}, stream());
  EXPECT_TRUE(std::isnan(totals.host()[0]));
  EXPECT_EQ(totals.host()[1], 9.0);
}

TEST(EndStep, AdvancesAdamAsAdamAdvanceDoes) {
  const AdamOptions options = {.learning_rate = 0.3, .beta1 = 0.7, .beta2 = 0.99};
  const History together(2), alone(2);
  for (int64_t step = 3; step < 9; ++step) {
    end_step({}, {}, together.view(), options, stream());
    adam_advance(alone.view(), options, stream());
    EXPECT_EQ(together.steps.host()[0], step);
    EXPECT_EQ(flat(together), flat(alone));
  }
}

TEST(EndStep, MovesCursorsAsAdvanceBatchDoes) {
  constexpr int64_t kSamples = 70, kBatchSize = 32;
  const Guarded<int32_t> users = {0, 30, 61, 66}, positives = {0, 1, 2, 3},
                         negatives = {0, 32, 64, 70};
  const Guarded<BatchCursor> together(std::vector<BatchCursor>(4)),
      alone(std::vector<BatchCursor>(4));
  const auto cursors = [&](const Guarded<BatchCursor>& of) -> BatchCursors {
    return {{of.data(), kSamples, kBatchSize},
            {of.data() + 1, users.const_view()},
            {of.data() + 2, positives.const_view()},
            {of.data() + 3, negatives.const_view()}};
  };
  const History history(0);
  for (int step = 0; step < 5; ++step) {
    end_step({}, cursors(together), history.view(), {}, stream());
    advance_batch(cursors(alone), stream());
    const std::vector<BatchCursor> actual = together.host(), expected = alone.host();
    for (size_t i = 0; i < actual.size(); ++i) {
      EXPECT_EQ(actual[i].number, expected[i].number);
      EXPECT_EQ(actual[i].begin, expected[i].begin);
      EXPECT_EQ(actual[i].count, expected[i].count);
    }
  }
}

TEST(EndStep, RejectsTooManyListsAndBadRings) {
  const History history(0);
  const std::vector<LossTerms> losses(kMaxLossTerms + 1);
  EXPECT_THROW(end_step(losses, {}, history.view(), {}, stream()), std::invalid_argument);
  AdamHistory ring = history.view();
  ring.corrections.size = 3;
  EXPECT_THROW(end_step({}, {}, ring, {}, stream()), std::invalid_argument);
}

}  // namespace
}  // namespace derrd::test::end_step_test
