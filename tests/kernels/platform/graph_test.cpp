#include "kernels/platform/graph.h"

#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/epoch/segments.h"
#include "kernels/platform/gemm.h"
#include "kernels/update/adam.h"
#include "tests/kernels/support.h"

namespace derrd::test::graph_test {
namespace {

/// Tells whether the executor keeps launches with their arguments, as a CUDA graph does; else the
/// calls.
bool keeps_arguments() { return device_info().executor != "cpu"; }

/// Something to count with.
struct Steps {
  void advance() const { adam_advance({steps.data(), corrections.view()}, {}, stream()); }
  int64_t taken() const { return steps.host()[0]; }
  Guarded<int64_t> steps{std::vector<int64_t>(1)};
  Guarded<AdamCorrections> corrections{std::vector<AdamCorrections>(1)};
};

TEST(LaunchGraph, RecordsWithoutRunningAndRepeats) {
  Steps steps;
  steps.advance();  // a first time, before it is recorded
  steps.steps.set({0});
  const LaunchGraph graph(stream(), [&] {
    steps.advance();
    steps.advance();
  });
  EXPECT_EQ(steps.taken(), 0);
  for (int i = 1; i <= 3; ++i) {
    graph.replay(stream());
    EXPECT_EQ(steps.taken(), 2 * i);
  }
}

TEST(LaunchGraph, KeepsTheOrderOfLaunchesProductsAndCopies) {
  Guarded<float> a{2.0f}, b{3.0f}, c{0.0f}, d{5.0f};
  const auto queue = [&] {
    gemm(c.matrix(1, 1), a.matrix(1, 1), b.matrix(1, 1), {}, stream());
    copy_on_device(a.data(), c.data(), sizeof(float), stream());  // the next product's
    gemm(d.matrix(1, 1), a.matrix(1, 1), b.matrix(1, 1), {.beta = 1.0f}, stream());
    fill_zero(c.data(), sizeof(float), stream());
  };
  queue();
  a.set({2.0f});
  d.set({5.0f});
  const LaunchGraph graph(stream(), queue);
  EXPECT_EQ(a.host()[0], 2.0f);
  graph.replay(stream());
  EXPECT_EQ(a.host()[0], 6.0f);
  EXPECT_EQ(c.host()[0], 0.0f);
  EXPECT_EQ(d.host()[0], 23.0f);
}

TEST(LaunchGraph, KeepsArgumentsAsTheyWere) {
  const Guarded<EpochState> state(std::vector<EpochState>(1));
  uint32_t epoch = 7;
  set_epoch(state.data(), {1, 0.5f}, stream());
  const LaunchGraph graph(stream(), [&] { set_epoch(state.data(), {epoch, 0.5f}, stream()); });
  epoch = 8;
  graph.replay(stream());
  EXPECT_EQ(state.host()[0].epoch, keeps_arguments() ? 7u : 8u);
}

// Other arguments, other launches: whatever was recorded before, the last counts.
TEST(LaunchGraph, RecordsAnew) {
  const Steps steps;
  steps.advance();
  const Guarded<EpochState> state(std::vector<EpochState>(1));
  set_epoch(state.data(), {0, 0.5f}, stream());
  LaunchGraph graph;
  for (uint32_t round = 1; round <= 4; ++round) {
    const uint32_t advances = round / 2;
    graph.record(stream(), [&state, &steps, round, advances] {
      set_epoch(state.data(), {round, 0.5f}, stream());
      for (uint32_t i = 0; i < advances; ++i) steps.advance();
    });
    const int64_t before = steps.taken();
    graph.replay(stream());
    EXPECT_EQ(state.host()[0].epoch, round);
    EXPECT_EQ(steps.taken(), before + advances);
  }
}

TEST(LaunchGraph, ARecordingThatFailsLeavesTheOneBefore) {
  const Steps steps;
  steps.advance();
  LaunchGraph graph(stream(), [&] { steps.advance(); });
  if (keeps_arguments()) {
    EXPECT_THROW(graph.record(stream(), [] { throw std::runtime_error("no"); }),
                 std::runtime_error);
  }
  const int64_t before = steps.taken();
  graph.replay(stream());
  EXPECT_EQ(steps.taken(), before + 1);
}

TEST(LaunchGraph, RefusesWhatCannotBeRepeated) {
  const Guarded<float> one{1.0f};
  void* allocated = nullptr;
  const std::vector<std::function<void()>> queues = {
      [] { stream().synchronize(); },
      [&] { one.host(); },
      [&] { allocated = device_allocate(1 << 20); },
  };
  for (const auto& queue : queues) {
    if (keeps_arguments()) {
      EXPECT_THROW(LaunchGraph(stream(), queue), DeviceError);
    } else {
      LaunchGraph(stream(), queue).replay(stream());
    }
  }
  device_free(allocated, 1 << 20);
  // The stream goes on as before.
  const Steps steps;
  steps.advance();
  EXPECT_EQ(steps.taken(), 1);
}

// Only where it would be noticed: a CUDA graph would leak what is freed.
TEST(LaunchGraph, TheCheckingExecutorRefusesToFree) {
  if (device_info().executor != "check") return;
  void* memory = device_allocate(16);
  EXPECT_THROW(LaunchGraph(stream(), [=] { device_free(memory, 16); }), DeviceError);
  TimeMark mark;
  EXPECT_THROW(LaunchGraph(stream(), [&] { mark.set(stream()); }), DeviceError);
}

TEST(LaunchGraph, PassesOnWhatTheCallsThrow) {
  const Steps steps;
  steps.advance();
  const auto record_and_replay = [&] {
    LaunchGraph(stream(), [&] {
      steps.advance();
      throw std::runtime_error("no");
    }).replay(stream());
  };
  EXPECT_THROW(record_and_replay(), std::runtime_error);
  const int64_t before = steps.taken();
  steps.advance();
  EXPECT_EQ(steps.taken(), before + 1);
}

TEST(LaunchGraph, MovesAndIsEmptyAtFirst) {
  Steps steps;
  steps.advance();
  steps.steps.set({0});
  LaunchGraph graph;
  graph.replay(stream());
  graph = LaunchGraph(stream(), [&] { steps.advance(); });
  LaunchGraph other = std::move(graph);
  other.replay(stream());
  EXPECT_EQ(steps.taken(), 1);
  graph.replay(stream());
  EXPECT_EQ(steps.taken(), 1);
}

TEST(TimeMark, MeasuresWhatLiesBetween) {
  TimeMark begin, end;
  const Steps steps;
  begin.set(stream());
  for (int i = 0; i < 100; ++i) steps.advance();
  end.set(stream());
  EXPECT_GT(end.seconds_since(begin), 0);
  EXPECT_LT(end.seconds_since(begin), 60);
  EXPECT_EQ(begin.seconds_since(begin), 0);
}

}  // namespace
}  // namespace derrd::test::graph_test
