#pragma once

#include <cstdint>
#include <functional>

#include "kernels/platform/device.h"
#include "kernels/platform/graph.h"

namespace derrd {

/// Runs the steps of an epoch by recording one of them and repeating it, on a GPU as a CUDA graph.
/// The step is recorded anew in every epoch, so that anything may change between epochs (a weight,
/// a path, a kernel). What changes between steps must lie in device memory.
class StepGraph {
 public:
  enum class Mode {
    kRecorded,        ///< records a step and repeats it
    kLaunchByLaunch,  ///< queues every launch by itself, as profilers want it
  };
  explicit StepGraph(Mode mode) : mode_(mode) {}

  /// Queues the `steps` steps of an epoch.
  /// @param step queues one step, and the same work for each step
  void run(int64_t steps, const std::function<void()>& step, const Stream& stream);

 private:
  Mode mode_;
  LaunchGraph graph_;
};

}  // namespace derrd
