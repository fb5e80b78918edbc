#include "engine/training/step_graph.h"

#include <gtest/gtest.h>

#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"
#include "kernels/update/adam.h"
#include "tests/engine/small_data.h"

namespace derrd::test::step_graph_test {
namespace {

/// A step that counts in device memory, and how often the host has queued it.
struct CountedStep {
  void operator()() {
    ++queued;
    adam_advance({steps.data(), corrections.view()}, {}, stream());
  }
  int64_t taken() const { return steps.to_host(stream())[0]; }

  CountedStep() : steps(1), corrections(1) { steps.zero(stream()); }
  DeviceArray<int64_t> steps;
  DeviceArray<AdamCorrections> corrections;
  int64_t queued = 0;
};

TEST(StepGraph, TakesAllStepsOfEveryEpoch) {
  for (const auto mode : {StepGraph::Mode::kRecorded, StepGraph::Mode::kLaunchByLaunch}) {
    CountedStep step;
    StepGraph graph(mode);
    int64_t expected = 0;
    for (const int64_t steps : {0, 1, 2, 3, 10, 2, 7}) {
      graph.run(
          steps, [&] { step(); }, stream());
      expected += steps;
      EXPECT_EQ(step.taken(), expected);
    }
  }
}

TEST(StepGraph, QueuesAStepOnceThenRecordsItAndRepeatsThat) {
  if (device_info().executor == "cpu") return;  // it keeps the call instead
  CountedStep step;
  StepGraph graph(StepGraph::Mode::kRecorded);
  graph.run(
      10, [&] { step(); }, stream());
  EXPECT_EQ(step.queued, 2);
  EXPECT_EQ(step.taken(), 10);
  StepGraph plain(StepGraph::Mode::kLaunchByLaunch);
  plain.run(
      10, [&] { step(); }, stream());
  EXPECT_EQ(step.queued, 12);
}

// The host's arguments of a step may change from epoch to epoch, and so may its launches.
TEST(StepGraph, RecordsEveryEpochAnew) {
  CountedStep step;
  const DeviceArray<EpochState> state(1);
  StepGraph graph(StepGraph::Mode::kRecorded);
  for (uint32_t epoch = 0; epoch < 4; ++epoch) {
    const auto queue = [&] {
      set_epoch(state.data(), {epoch, 0.5f}, stream());
      for (uint32_t i = 0; i < epoch / 2; ++i) step();  // epochs 0 and 1 have one launch
    };
    const int64_t before = step.taken();
    graph.run(5, queue, stream());
    EXPECT_EQ(state.to_host(stream())[0].epoch, epoch);
    EXPECT_EQ(step.taken() - before, 5 * (epoch / 2));
  }
}

}  // namespace
}  // namespace derrd::test::step_graph_test
