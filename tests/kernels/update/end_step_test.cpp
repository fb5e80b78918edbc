#include "kernels/update/end_step.h"

#include <array>
#include <numeric>

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

/// The total of a loss with these terms, after one step.
double total_of(const std::vector<float>& terms) {
  const Guarded<float> device_terms(terms);
  const Guarded<double> total({0.0});
  const History history(0);
  const LossTerms loss = {total.data(), device_terms.const_view()};
  end_step({&loss, 1}, {}, history.view(), {}, stream());
  return total.host()[0];
}

// Lists of edge sizes, two for each loss.
TEST(EndStep, AddsLosses) {
  const auto sizes = static_cast<int64_t>(std::size(kEdgeSizes));
  const Guarded<double> totals(std::vector<double>(static_cast<size_t>(sizes), 100.0));
  std::vector<long double> expected(static_cast<size_t>(sizes), 100.0L);
  std::vector<Guarded<float>> terms;
  terms.reserve(static_cast<size_t>(2 * sizes));
  std::vector<LossTerms> losses;
  for (int64_t l = 0; l < 2 * sizes; ++l) {
    const std::vector<float> of_loss =
        random_normal(kEdgeSizes[l % sizes], 3 + static_cast<uint64_t>(l));
    terms.emplace_back(of_loss);
    losses.push_back({totals.data() + l % sizes, terms.back().const_view()});
    long double& sum = expected[static_cast<size_t>(l % sizes)];
    sum = std::accumulate(of_loss.begin(), of_loss.end(), sum);
  }
  ASSERT_LE(losses.size(), static_cast<size_t>(kMaxLossTerms));
  const History history(0);
  end_step(losses, {}, history.view(), {}, stream());
  const std::vector<double> actual = totals.host();
  for (size_t l = 0; l < actual.size(); ++l) {
    // Two sums of n additions of 2^-53 of a partial sum below 1000 each.
    EXPECT_NEAR(actual[l], expected[l], 2 * 257 * 1000 * 1.2e-16) << kEdgeSizes[l] << " terms";
  }
}

TEST(EndStep, KeepsWhatAFloatTotalWouldLose) {
  std::vector<float> terms(1000, 0.25f);
  terms[0] = 0x1p24f;
  EXPECT_EQ(total_of(terms), 0x1p24 + 999 * 0.25);
}

TEST(EndStep, SameBitsTwice) {
  const std::vector<float> terms = random_normal(2000, 8);
  const double once = total_of(terms);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(total_of(terms), once);
}

TEST(EndStep, KeepsNanAndInfinity) {
  std::vector<float> terms(300, 1.0f);
  terms[257] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(total_of(terms), std::numeric_limits<double>::infinity());
  terms[40] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(total_of(terms)));
}

TEST(EndStep, ALossThatIsNotANumberLeavesTheOthers) {
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
