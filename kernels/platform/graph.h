#pragma once

#include <functional>

#include "kernels/platform/device.h"

namespace derrd {

/// A sequence of launches, recorded once and repeated at the cost of one. On the GPU a CUDA graph;
/// the checking executor keeps each launch with its arguments, so that a host value that changes
/// between repetitions shows without a GPU; the CPU executor, which saves nothing by it, keeps the
/// calls that queue the launches. Owns what it recorded; moves, does not copy.
class LaunchGraph {
 public:
  /// Nothing: replay() queues nothing.
  LaunchGraph();
  /// Calls queue(), whose launches on the stream, products and device-to-device copies included,
  /// are recorded and do not run. Host values that it reads, arguments among them, stay as they are
  /// now. It may neither allocate nor free nor wait nor copy to or from the host, and has to have
  /// run before: libraries and kernels set themselves up at their first use.
  /// @throws DeviceError if it does, and whatever queue() throws.
  LaunchGraph(const Stream& stream, const std::function<void()>& queue);
  ~LaunchGraph();
  LaunchGraph(LaunchGraph&& other) noexcept;
  LaunchGraph& operator=(LaunchGraph&& other) noexcept;

  /// Queues all that was recorded, in order. Neither allocates nor waits.
  void replay(const Stream& stream) const;

 private:
  struct Recording;
  Recording* recording_ = nullptr;
};

}  // namespace derrd
