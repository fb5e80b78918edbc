#include "kernels/platform/graph.h"

#include <utility>
#include <vector>

#include "kernels/platform/cpu/parallel.h"

namespace derrd {

struct LaunchGraph::Recording {
  std::vector<std::function<void()>> calls;
};

namespace {

/// What the calling thread records into; null: it does not.
thread_local std::vector<std::function<void()>>* recorded = nullptr;

struct WhileRecording {
  explicit WhileRecording(std::vector<std::function<void()>>& calls) { recorded = &calls; }
  ~WhileRecording() { recorded = nullptr; }
};

}  // namespace

namespace cpu {

bool record(std::function<void()> call) {
  if (recorded == nullptr) return false;
  recorded->push_back(std::move(call));
  return true;
}

void refuse_recording(const char* what) {
  if (recorded == nullptr) return;
  throw DeviceError(std::string(what) + " while launches are recorded, which a CUDA graph cannot");
}

}  // namespace cpu

LaunchGraph::LaunchGraph() = default;

LaunchGraph::LaunchGraph(const Stream&, const std::function<void()>& queue) {
  Recording recording;
  if (cpu::strict_as_gpu()) {
    const WhileRecording scope(recording.calls);
    queue();
  } else {
    recording.calls.push_back(queue);
  }
  recording_ = new Recording(std::move(recording));
}

LaunchGraph::~LaunchGraph() { delete recording_; }

LaunchGraph::LaunchGraph(LaunchGraph&& other) noexcept
    : recording_(std::exchange(other.recording_, nullptr)) {}

LaunchGraph& LaunchGraph::operator=(LaunchGraph&& other) noexcept {
  std::swap(recording_, other.recording_);
  return *this;
}

void LaunchGraph::replay(const Stream&) const {
  if (recording_ == nullptr) return;
  for (const auto& call : recording_->calls) call();
}

}  // namespace derrd
