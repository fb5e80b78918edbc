#include "kernels/platform/execution.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/version.h>

#include <memory>
#include <string>
#include <thread>

#include "kernels/platform/cpu/parallel.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace derrd {

namespace {

int thread_count = 0;

/// Set on a thread while it runs a chunk: what the chunk starts in turn stays on this thread, whose
/// cache holds its data, and the thread does not take up other chunks half way through this one.
thread_local bool inside_chunk = false;

struct InsideChunk {
  InsideChunk() { inside_chunk = true; }
  ~InsideChunk() { inside_chunk = false; }
};

std::unique_ptr<tbb::global_control> thread_limit;

/// While it lives, subnormal numbers count as 0 on this thread. The moments of parameters that L2
/// has shrunk to nothing are full of them, and arithmetic on them is many times slower.
class FlushSubnormals {
#if defined(__SSE__)
 public:
  FlushSubnormals() { _mm_setcsr(saved_ | kFlushToZero | kSubnormalsAreZero); }
  ~FlushSubnormals() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kSubnormalsAreZero = 0x0040;
  const unsigned saved_ = _mm_getcsr();
#endif
};

}  // namespace

void set_threads(int threads) {
  thread_count = threads;
  thread_limit.reset();
  if (threads > 0) {
    thread_limit = std::make_unique<tbb::global_control>(
        tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
  }
}

namespace cpu {

void run_chunks(int64_t chunks, void (*run)(const void*, int64_t), const void* context) {
  if (chunks == 1 || inside_chunk) {
    [[maybe_unused]] const FlushSubnormals flush;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) run(context, chunk);
    return;
  }
  tbb::parallel_for(
      int64_t{0}, chunks,
      [&](int64_t chunk) {
        const InsideChunk inside;
        [[maybe_unused]] const FlushSubnormals flush;
        run(context, chunk);
      },
      tbb::auto_partitioner());
}

bool within_chunk() { return inside_chunk; }

bool strict_as_gpu() { return false; }

ExecutorInfo executor_info() {
  const int hardware = static_cast<int>(std::thread::hardware_concurrency());
  return {"cpu", std::string("oneTBB ") + TBB_runtime_version(),
          thread_count == 0 ? hardware : thread_count};
}

}  // namespace cpu

}  // namespace derrd
