#pragma once

#include <cstdint>
#include <functional>

#include "kernels/platform/device.h"
#include "kernels/platform/graph.h"

namespace derrd {

/// The steps of an epoch as one recorded step that is repeated, on a GPU a CUDA graph. It is
/// recorded anew in every epoch, so what changes between epochs (a weight, a path, a kernel) needs
/// no care; what changes between steps must lie in device memory.
class StepGraph {
 public:
  enum class Mode {
    kRecorded,        ///< records a step and repeats it
    kLaunchByLaunch,  ///< queues every launch by itself, as profilers want it
  };
  explicit StepGraph(Mode mode) : mode_(mode) {}

  /// Queues the `steps` steps of an epoch.
  /// @param step queues one step; what it queues must not depend on which one it is
  void run(int64_t steps, const std::function<void()>& step, const Stream& stream);

 private:
  Mode mode_;
  LaunchGraph graph_;
};

}  // namespace derrd
