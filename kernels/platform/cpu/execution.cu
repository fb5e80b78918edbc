#include "kernels/platform/execution.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/version.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/platform/cpu/parallel.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace derrd {

namespace {

int hardware_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int thread_count = hardware_threads();

/// Set on a thread while it runs a chunk: what the chunk starts in turn stays on this thread, whose
/// cache holds its data, and the thread does not take up other chunks half way through this one.
thread_local bool inside_chunk = false;

struct InsideChunk {
  InsideChunk() { inside_chunk = true; }
  ~InsideChunk() { inside_chunk = false; }
};

/// Not destroyed at the end of the program, as oneTBB would start more threads then.
const tbb::global_control* thread_limit = nullptr;

/// Number of threads, at most `wanted`, that the system lets this process have. oneTBB fails where
/// it can't start one.
int startable_threads(int wanted) {
  std::vector<std::thread> others;
  std::mutex counting;
  {
    const std::lock_guard keep_alive(counting);
    try {
      while (std::ssize(others) + 1 < wanted) {
        others.emplace_back([&] { const std::lock_guard wait(counting); });
      }
    } catch (const std::exception&) {  // no more
    }
  }
  for (std::thread& other : others) other.join();
  return static_cast<int>(others.size()) + 1;
}

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
  constexpr int kMostPerCore = 64;  // more would only wait for each other
  const int hardware = hardware_threads();
  const int wanted = threads > 0 ? std::min(threads, kMostPerCore * hardware) : hardware;
  const int startable = startable_threads(wanted);
  thread_count = startable == wanted ? wanted : (startable + 1) / 2;  // the rest stays free
  const tbb::global_control* const last = thread_limit;
  thread_limit = new tbb::global_control(tbb::global_control::max_allowed_parallelism,
                                         static_cast<size_t>(thread_count));
  delete last;
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
  return {"cpu", std::string("oneTBB ") + TBB_runtime_version(), thread_count};
}

}  // namespace cpu

}  // namespace derrd
