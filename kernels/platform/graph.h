#pragma once

#include <functional>

#include "kernels/platform/device.h"

namespace derrd {

/// A sequence of launches, recorded and then repeated at the cost of one. On the GPU a CUDA graph;
/// the checking executor keeps each launch with its arguments, so that a host value that changes
/// between repetitions shows without a GPU; the CPU executor, which saves nothing by it, keeps the
/// call that queues the launches. Owns what it recorded; moves, does not copy.
class LaunchGraph {
 public:
  /// Holds nothing: replay() queues nothing.
  LaunchGraph();
  /// Records at once.
  LaunchGraph(const Stream& stream, const std::function<void()>& queue) : LaunchGraph() {
    record(stream, queue);
  }
  ~LaunchGraph();
  LaunchGraph(LaunchGraph&& other) noexcept;
  LaunchGraph& operator=(LaunchGraph&& other) noexcept;

  /// Calls queue() and records its launches on the stream, products and device-to-device copies
  /// included; they do not run. Replaces what was recorded before. On the GPU the present graph
  /// is updated where the new launches differ in their arguments alone, which is cheap, else a new
  /// one is made. Host values that queue() reads, arguments among them, stay as they are now. It
  /// may not allocate, free, wait, or copy to or from the host, and must have run before: libraries
  /// and kernels set themselves up at their first use.
  /// @throws DeviceError if it does, and whatever queue() throws; then nothing changes.
  void record(const Stream& stream, const std::function<void()>& queue);
  /// Queues all that was recorded, in order. Neither allocates nor waits.
  void replay(const Stream& stream) const;

 private:
  struct Recording;
  Recording* recording_ = nullptr;
};

}  // namespace derrd
