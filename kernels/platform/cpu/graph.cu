#include "kernels/platform/graph.h"

#include <utility>
#include <vector>

#include "kernels/platform/cpu/parallel.h"

namespace derrd {

struct LaunchGraph::Recording {
  std::vector<std::function<void()>> calls;
};

namespace {

/// List that the calling thread records into; null: it does not record.
thread_local std::vector<std::function<void()>>* recorded = nullptr;
/// Name of a call that a graph cannot hold and that was made nevertheless; null: none.
thread_local const char* spoiled_by = nullptr;

struct WhileRecording {
  explicit WhileRecording(std::vector<std::function<void()>>& calls) {
    recorded = &calls;
    spoiled_by = nullptr;
  }
  ~WhileRecording() { recorded = nullptr; }
};

}  // namespace

namespace cpu {

bool recording() { return recorded != nullptr; }

void keep(std::function<void()> call) { recorded->push_back(std::move(call)); }

void spoil_recording(const char* what) noexcept {
  if (recorded != nullptr) spoiled_by = what;
}

void refuse_recording(const char* what) {
  if (recorded == nullptr) return;
  throw DeviceError(std::string(what) + " while launches are recorded, which a CUDA graph cannot");
}

}  // namespace cpu

LaunchGraph::LaunchGraph() = default;

void LaunchGraph::record(const Stream&, const std::function<void()>& queue) {
  Recording recording;
  if (cpu::strict_as_gpu()) {
    const WhileRecording scope(recording.calls);
    queue();
    if (spoiled_by != nullptr) cpu::refuse_recording(spoiled_by);
  } else {
    recording.calls.push_back(queue);
  }
  delete std::exchange(recording_, new Recording(std::move(recording)));
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
