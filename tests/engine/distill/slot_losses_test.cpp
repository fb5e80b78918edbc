// Samples of the losses on scores, beside RRD's own tests: from the right lists, in the right
// order, nothing observed, anew each epoch.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/distill/cd.h"
#include "engine/distill/ir.h"
#include "engine/distill/rd.h"
#include "engine/distill/rrd.h"
#include "engine/distill/sampled_rows.h"
#include "engine/models/bpr.h"
#include "tests/engine/small_data.h"
#include "tests/engine/steps.h"

namespace derrd::test::slot_losses_test {
namespace {

using Rows = std::vector<std::vector<int32_t>>;

class SlotLossSamples : public testing::Test {
 protected:
  static constexpr int32_t kUsers = 60, kItems = 80;
  static constexpr int64_t kDim = 4;

  /// The samples of epochs 0, 1 and 0 once more.
  template <class D>
  std::vector<Rows> epochs(D& loss) const {
    EpochPlan plan(data_, {16, 1, 7});
    std::vector<Rows> result;
    for (const int epoch : {0, 1, 0}) {
      plan.begin_epoch(epoch, stream());
      loss.begin_epoch(plan, stream());
      result.push_back(rows_of(loss.samples()));
    }
    return result;
  }

  bool observed(int32_t user, int32_t item) const { return dataset_.train.contains(user, item); }
  double score(int64_t user, int64_t item) const {
    return derrd::test::score(teacher_.model(), user, item);
  }

  const Dataset dataset_ = small_dataset(kUsers, kItems, 12, 3);
  const DeviceDataset data_{dataset_, stream()};
  Teacher teacher_{small_teacher(kUsers, kItems, kDim, 5), data_};
  Parameters parameters_;
  BprModel student_{kUsers, kItems, 3, 16, parameters_};
};

TEST_F(SlotLossSamples, RdTakesTheListsHeadAndUnobservedItems) {
  RdOptions options;
  options.top = 7;
  options.negatives = 20;
  const auto lists = teacher_.lists(options.top, stream()).items;
  RdLoss rd(1.0, options, data_, lists, student_, 16, stream());
  const auto samples = epochs(rd);
  const Rows best = rows_of(lists);
  for (const Rows& epoch : samples) {
    for (int32_t u = 0; u < kUsers; ++u) {
      const auto& row = epoch[static_cast<size_t>(u)];
      EXPECT_EQ(std::vector<int32_t>(row.begin(), row.begin() + 7), best[static_cast<size_t>(u)]);
      const std::set<int32_t> negatives(row.begin() + 7, row.end());
      EXPECT_EQ(negatives.size(), 20u);
      for (const int32_t item : negatives) EXPECT_FALSE(observed(u, item));
    }
  }
  EXPECT_EQ(samples[0], samples[2]);
  EXPECT_NE(samples[0], samples[1]);
}

TEST_F(SlotLossSamples, RdOfUsersWithFewUnobservedItemsLeavesSlotsEmpty) {
  RdOptions options;
  options.top = 70;  // of 68
  options.negatives = 100;
  RdLoss rd(1.0, options, data_, teacher_.lists(options.top, stream()).items, student_, 16,
            stream());
  const Rows samples = epochs(rd)[0];
  for (const auto& row : samples) {
    for (size_t k = 0; k < 170; ++k) EXPECT_EQ(row[k] < 0, k == 68 || k == 69 || k >= 138) << k;
  }
}

TEST_F(SlotLossSamples, CdTakesListedItemsInRankOrderWithTheirTargets) {
  CdOptions options;
  options.items = 9;
  options.list_length = 30;
  options.sharpness = 8;
  options.t1 = 0.5;
  options.t2 = -0.25;
  const TeacherLists lists = teacher_.lists(options.list_length, stream());
  CdLoss cd(1.0, options, data_, lists, student_, 16, stream());
  const auto samples = epochs(cd);
  const auto targets = rows_of(cd.targets());  // of the last epoch
  const Rows listed = rows_of(lists.items);
  for (size_t u = 0; u < kUsers; ++u) {
    const auto& list = listed[u];
    const auto& row = samples[2][u];
    auto before = list.begin() - 1;
    for (size_t k = 0; k < row.size(); ++k) {
      const auto found = std::find(list.begin(), list.end(), row[k]);
      ASSERT_NE(found, list.end());
      EXPECT_GT(found, before);
      before = found;
      const double expected =
          1 / (1 + std::exp(-(score(static_cast<int32_t>(u), row[k]) - 0.25) / 0.5));
      EXPECT_NEAR(targets[u][k], expected, 2e-6);
    }
  }
  EXPECT_EQ(samples[0], samples[2]);
  EXPECT_NE(samples[0], samples[1]);
}

TEST_F(SlotLossSamples, CdLeavesSlotsEmptyWhereTheListEnds) {
  CdOptions options;
  options.items = 75;
  options.list_length = 80;
  CdLoss cd(1.0, options, data_, teacher_.lists(80, stream()), student_, 16, stream());
  const auto samples = epochs(cd)[2];
  const auto targets = rows_of(cd.targets());
  for (size_t u = 0; u < kUsers; ++u) {
    for (size_t k = 0; k < 75; ++k) EXPECT_EQ(samples[u][k] < 0, k >= 68);
    for (size_t k = 68; k < 75; ++k) EXPECT_EQ(targets[u][k], 0.0f);
  }
}

TEST_F(SlotLossSamples, IrRanksUsersWhoHaveNotInteractedWithTheItem) {
  IrOptions options;
  options.sampler.interesting = 6;
  options.sampler.uninteresting = 8;
  options.sampler.list_length = 20;
  options.sampler.sharpness = 5;
  IrLoss ir(1.0, options, data_, teacher_.item_lists(20, stream()).items, {}, student_, 16,
            stream());
  const auto samples = epochs(ir);
  std::set<int32_t> drawn;
  for (const Rows& epoch : samples) {
    ASSERT_EQ(epoch.size(), static_cast<size_t>(kItems));
    for (int32_t item = 0; item < kItems; ++item) {
      // The teacher's list of users, by plain sorting.
      std::vector<int32_t> list;
      for (int32_t u = 0; u < kUsers; ++u) {
        if (!observed(u, item)) list.push_back(u);
      }
      std::stable_sort(list.begin(), list.end(),
                       [&](int32_t a, int32_t b) { return score(a, item) > score(b, item); });
      list.resize(20);
      const auto& row = epoch[static_cast<size_t>(item)];
      auto before = list.begin() - 1;
      for (size_t k = 0; k < 6; ++k) {
        const auto found = std::find(list.begin(), list.end(), row[k]);
        ASSERT_NE(found, list.end());
        EXPECT_GT(found, before);
        before = found;
      }
      const std::set<int32_t> others(row.begin() + 6, row.end());
      EXPECT_EQ(others.size(), 8u);
      drawn.insert(others.begin(), others.end());
      for (const int32_t user : others) {
        EXPECT_FALSE(observed(user, item));
        EXPECT_EQ(std::find(list.begin(), list.end(), user), list.end());
      }
    }
  }
  EXPECT_EQ(drawn.size(), static_cast<size_t>(kUsers));  // everybody is among the others somewhere
  EXPECT_EQ(samples[0], samples[2]);
  EXPECT_NE(samples[0], samples[1]);
}

TEST_F(SlotLossSamples, SampledRowsAreThoseDrawnForTheBatchsUsers) {
  const RankingSamplerOptions options = {.interesting = 3, .uninteresting = 4, .sharpness = 6};
  const auto samples = std::make_shared<RankingSamples>(options, teacher_.lists(25, stream()).items,
                                                        data_.train(), kItems, stream());
  const SampledRows sampled(samples, kItems, 16);
  EXPECT_EQ(sampled.capacity(), kItems);
  EpochPlan plan(data_, {16, 1, 7});
  for (const int epoch : {0, 3}) {
    plan.begin_epoch(epoch, stream());
    samples->begin_epoch(plan, stream());
    const Rows drawn = rows_of(samples->slots().samples());
    for (int64_t b = 0; b < plan.batches(); ++b) {
      plan.next(stream());
      std::set<int32_t> expected;
      for (const int32_t user : rows_of(plan.distinct_users())) {
        const auto& row = drawn[static_cast<size_t>(user)];
        expected.insert(row.begin(), row.end());
      }
      const std::vector<int32_t> items = rows_of(sampled.of_batch(plan.distinct_users(), stream()));
      ASSERT_EQ(items, std::vector<int32_t>(expected.begin(), expected.end())) << b;
    }
  }
}

// All losses that share samples may ask for the epoch's; only the first one draws.
TEST_F(SlotLossSamples, AreDrawnOnceAnEpochForAllLosses) {
  DistillContext context = {
      teacher_, data_, student_, parameters_, 16, conventions_of(Preset::kAuthors), stream()};
  RankingSamplerOptions options = {.list_length = 25};
  const auto samples = context.user_samples(options);
  EXPECT_EQ(context.user_samples(options), samples);
  options.sharpness = 6;
  EXPECT_NE(context.user_samples(options), samples);

  EpochPlan plan(data_, {16, 1, 7}), other_seed(data_, {16, 1, 8});
  const auto launches = [&](const EpochPlan& of) {
    const Counters before = counters();
    samples->begin_epoch(of, stream());
    return counters().launches - before.launches;
  };
  plan.begin_epoch(0, stream());
  other_seed.begin_epoch(0, stream());
  EXPECT_GT(launches(plan), 0);
  const Rows first = rows_of(samples->slots().samples());
  EXPECT_EQ(launches(plan), 0);
  EXPECT_GT(launches(other_seed), 0);
  EXPECT_NE(rows_of(samples->slots().samples()), first);
  EXPECT_GT(launches(plan), 0);
  EXPECT_EQ(rows_of(samples->slots().samples()), first);
  plan.begin_epoch(1, stream());
  EXPECT_GT(launches(plan), 0);
}

}  // namespace
}  // namespace derrd::test::slot_losses_test
