#pragma once

// Host work in parallel: the blocks of a launch on the CPU executor, and the operations that are
// libraries' on the GPU and host code here (products, sorting). The checking executor runs it
// serially: oneTBB is not visible to the thread sanitizer.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>

namespace derrd::cpu {

/// Scalar operations below which work stays on the calling thread, and the size of a chunk above:
/// enough to pay for waking another thread. They depend on the problem alone, never on the number
/// of threads.
constexpr int64_t kChunkElements = 8192;
constexpr int64_t kMaxChunks = 256;

/// Into how many chunks to cut `units` units of about `elements` scalar operations each.
inline int64_t chunks_for(int64_t units, int64_t elements) {
  const int64_t chunks = units * std::max<int64_t>(elements, 1) / kChunkElements;
  return std::clamp<int64_t>(chunks, 1, std::clamp<int64_t>(units, 1, kMaxChunks));
}

/// Calls run(context, chunk) for chunk in [0, chunks), spread over the host threads; returns when
/// all are done. Called from within a chunk it keeps to the calling thread.
void run_chunks(int64_t chunks, void (*run)(const void* context, int64_t chunk),
                const void* context);

/// Tells whether the calling thread is within a chunk.
bool within_chunk();

/// Calls f(unit) for unit in [0, units), each costing about `elements` scalar operations; adjacent
/// units run one after the other on the same thread. The order of the rest is open: units must not
/// depend on one another.
template <class Function>
void parallel_for(int64_t units, int64_t elements, const Function& f) {
  struct Call {
    const Function& f;
    int64_t units;
    int64_t chunk_units;
  };
  const int64_t chunks = chunks_for(units, elements);
  const Call call{f, units, (units + chunks - 1) / chunks};
  run_chunks(
      chunks,
      [](const void* context, int64_t chunk) {
        const Call& c = *static_cast<const Call*>(context);
        const int64_t end = std::min(c.units, (chunk + 1) * c.chunk_units);
        for (int64_t unit = chunk * c.chunk_units; unit < end; ++unit) c.f(unit);
      },
      &call);
}

/// Returns true if the CPU's memory and products behave as strictly as a GPU's, for tests: memory
/// starts as NaN, products read all rows, there is one slice, graphs keep their launches'
/// arguments, and reads of undeclared rows are found.
bool strict_as_gpu();

/// Returns true if this thread records a LaunchGraph.
bool recording();
/// Keeps a call for that LaunchGraph.
void keep(std::function<void()> call);
/// Keeps a call if this thread records a LaunchGraph; returns whether it does.
template <class Call>
bool record(const Call& call) {
  if (!recording()) return false;
  keep(call);
  return true;
}
/// @throws DeviceError naming `what` if this thread records.
void refuse_recording(const char* what);
/// Has the recording end with that error, where nothing may be thrown.
void spoil_recording(const char* what) noexcept;

/// Adds to Counters::launches.
void count_launch();

/// The executor's part of device_info().
struct ExecutorInfo {
  std::string name;
  std::string library;  ///< that spreads the work, with its version; empty: none
  int threads = 1;
};
ExecutorInfo executor_info();

}  // namespace derrd::cpu
