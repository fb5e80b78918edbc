#include "engine/evaluation/early_stopping.h"

#include <gtest/gtest.h>

namespace derrd::test::early_stopping_test {
namespace {

Evaluation evaluation(double h5, double h10, double h20, double test) {
  Evaluation e;
  e.valid.hit = {h5, h10, h20};
  e.test.hit = {test, test, test};
  e.valid.users = e.test.users = 1;
  return e;
}

TEST(EarlyStopping, PaperWatchesHitAt5Alone) {
  EarlyStopping stopping(StoppingRule::kFirstCutoff, 2);
  EXPECT_TRUE(stopping.update(0, evaluation(.4, .5, .6, 0)));
  EXPECT_FALSE(stopping.update(1, evaluation(.3, .7, .8, 1)));
  EXPECT_FALSE(stopping.should_stop(1));
  EXPECT_FALSE(stopping.update(2, evaluation(.4, .8, .9, 2)));  // equal is not better
  EXPECT_TRUE(stopping.should_stop(2));
  EXPECT_EQ(stopping.best_epoch(), 0);
  EXPECT_EQ(stopping.report().test.hit[2], 0);
}

TEST(EarlyStopping, AuthorsReportEachCutoffAtItsOwnEpoch) {
  EarlyStopping stopping(StoppingRule::kEachCutoff, 2);
  EXPECT_TRUE(stopping.update(0, evaluation(.4, .5, .6, 0)));
  EXPECT_FALSE(stopping.update(1, evaluation(.3, .7, .6, 1)));
  EXPECT_FALSE(stopping.should_stop(2));  // H@10 rose in epoch 1
  EXPECT_TRUE(stopping.should_stop(3));
  const Evaluation report = stopping.report();
  EXPECT_EQ(report.test.hit[0], 0);
  EXPECT_EQ(report.test.hit[1], 1);
  EXPECT_EQ(report.test.hit[2], 0);
}

TEST(EarlyStopping, AuthorsCompareFourDecimals) {
  EarlyStopping stopping(StoppingRule::kEachCutoff, 5);
  stopping.update(0, evaluation(.40000, .5, .6, 0));
  EXPECT_FALSE(stopping.update(1, evaluation(.40004, .5, .6, 1)));
  EXPECT_TRUE(stopping.update(2, evaluation(.40006, .5, .6, 2)));
  EarlyStopping exact(StoppingRule::kFirstCutoff, 5);
  exact.update(0, evaluation(.40000, .5, .6, 0));
  EXPECT_TRUE(exact.update(1, evaluation(.40004, .5, .6, 1)));
}

TEST(EarlyStopping, WithoutValidationItemsEveryEpochIsKept) {
  for (const StoppingRule rule : {StoppingRule::kEachCutoff, StoppingRule::kFirstCutoff}) {
    EarlyStopping stopping(rule, 1);
    for (int epoch = 0; epoch < 4; ++epoch) {
      Evaluation e = evaluation(0, 0, 0, epoch);
      e.valid = {};
      EXPECT_TRUE(stopping.update(epoch, e));
      EXPECT_FALSE(stopping.should_stop(epoch));
    }
    EXPECT_EQ(stopping.best_epoch(), 3);
    for (const double hit : stopping.report().test.hit) EXPECT_EQ(hit, 3);
  }
}

TEST(EarlyStopping, AWatchedMetricAloneDecides) {
  for (const StoppingRule rule : {StoppingRule::kEachCutoff, StoppingRule::kFirstCutoff}) {
    EarlyStopping stopping(rule, 2);
    EXPECT_TRUE(stopping.update(0, evaluation(.4, .5, .6, 0), 0.0));
    EXPECT_TRUE(stopping.update(1, evaluation(.3, .4, .5, 1), 1e-9));  // not rounded
    EXPECT_FALSE(stopping.update(2, evaluation(.5, .6, .7, 2), 1e-9));
    EXPECT_FALSE(stopping.should_stop(2));
    EXPECT_FALSE(stopping.update(3, evaluation(.6, .7, .8, 3), 0.0));
    EXPECT_TRUE(stopping.should_stop(3));
    EXPECT_EQ(stopping.best_epoch(), 1);
    EXPECT_EQ(stopping.best_value(), 1e-9);
    for (const double hit : stopping.report().test.hit) EXPECT_EQ(hit, 1);
  }
}

TEST(EarlyStopping, RestoredStateGoesOn) {
  EarlyStopping stopping(StoppingRule::kEachCutoff, 2);
  stopping.update(0, evaluation(.4, .5, .6, 0));
  EarlyStopping resumed(StoppingRule::kEachCutoff, 2);
  resumed.restore(stopping.state());
  EXPECT_FALSE(resumed.update(1, evaluation(.4, .5, .6, 1)));
  EXPECT_EQ(resumed.best_epoch(), 0);
  EXPECT_TRUE(resumed.should_stop(2));
}

}  // namespace
}  // namespace derrd::test::early_stopping_test
