#include "kernels/platform/graph.h"

#include <cuda_runtime.h>

#include <memory>
#include <utility>

#include "kernels/platform/cuda/check.h"

namespace derrd {

struct LaunchGraph::Recording {
  cudaGraphExec_t executable = nullptr;
  ~Recording() {
    if (executable != nullptr) cudaGraphExecDestroy(executable);
  }
};

namespace {

cudaStream_t handle(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

/// A graph while it is being made.
struct Graph {
  cudaGraph_t graph = nullptr;
  ~Graph() {
    if (graph != nullptr) cudaGraphDestroy(graph);
  }
};

}  // namespace

LaunchGraph::LaunchGraph() = default;

LaunchGraph::LaunchGraph(const Stream& stream, const std::function<void()>& queue) {
  Graph made;
  // Of this thread alone: others may go on with what a capture does not allow.
  cuda::check(cudaStreamBeginCapture(handle(stream), cudaStreamCaptureModeThreadLocal),
              "cudaStreamBeginCapture");
  try {
    queue();
  } catch (...) {
    cudaStreamEndCapture(handle(stream), &made.graph);
    cudaGetLastError();  // queue() has said what was wrong
    throw;
  }
  cuda::check(cudaStreamEndCapture(handle(stream), &made.graph), "cudaStreamEndCapture");
  auto recording = std::make_unique<Recording>();
  cuda::check(cudaGraphInstantiate(&recording->executable, made.graph, 0), "cudaGraphInstantiate");
  recording_ = recording.release();
}

LaunchGraph::~LaunchGraph() { delete recording_; }

LaunchGraph::LaunchGraph(LaunchGraph&& other) noexcept
    : recording_(std::exchange(other.recording_, nullptr)) {}

LaunchGraph& LaunchGraph::operator=(LaunchGraph&& other) noexcept {
  std::swap(recording_, other.recording_);
  return *this;
}

void LaunchGraph::replay(const Stream& stream) const {
  if (recording_ == nullptr) return;
  cuda::check(cudaGraphLaunch(recording_->executable, handle(stream)), "cudaGraphLaunch");
}

}  // namespace derrd
