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

/// The launches of one recording, before they can be run.
struct Capture {
  cudaGraph_t graph = nullptr;

  Capture(cudaStream_t stream, const std::function<void()>& queue) {
    // Captures this thread alone: others may go on with what a capture does not allow.
    cuda::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                "cudaStreamBeginCapture");
    try {
      queue();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      cudaGetLastError();  // queue() has said what was wrong
      destroy();
      throw;
    }
    cuda::check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  }
  ~Capture() { destroy(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

 private:
  void destroy() const {
    if (graph != nullptr) cudaGraphDestroy(graph);
  }
};

/// Tells whether the executable graph has taken the capture's launches over.
bool update(cudaGraphExec_t executable, const Capture& capture) {
  cudaGraphExecUpdateResultInfo info;
  if (cudaGraphExecUpdate(executable, capture.graph, &info) == cudaSuccess) return true;
  cudaGetLastError();  // other launches, or in another order: no error
  return false;
}

}  // namespace

LaunchGraph::LaunchGraph() = default;

void LaunchGraph::record(const Stream& stream, const std::function<void()>& queue) {
  const Capture capture(handle(stream), queue);
  if (recording_ != nullptr && update(recording_->executable, capture)) return;
  auto made = std::make_unique<Recording>();
  cuda::check(cudaGraphInstantiate(&made->executable, capture.graph, 0), "cudaGraphInstantiate");
  delete std::exchange(recording_, made.release());
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
