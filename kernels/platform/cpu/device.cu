#include "kernels/platform/device.h"

#include <cblas.h>
#include <sys/mman.h>
#include <thrust/version.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "kernels/platform/cpu/parallel.h"

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif
#include "kernels/platform/host_memory.h"
#include "kernels/platform/memory_count.h"

namespace derrd {

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> synchronizations{0};
std::atomic<int64_t> launches{0};
MemoryCount memory;

constexpr size_t kAlignment = 256;
constexpr size_t kHugePage = size_t{2} << 20;

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

#if defined(__AVX512F__)
constexpr const char* kInstructions = "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
constexpr const char* kInstructions = "AVX2";
#elif defined(__aarch64__)
constexpr const char* kInstructions = "AArch64";
#else
constexpr const char* kInstructions = "no vector extensions";
#endif

/// "cpu, GCC 12.2.0 for znver3, Release, AVX-512, OpenBLAS 0.3.21 for SkylakeX, glibc 2.36". The
/// compiler orders the sums in kernels by the processor that it compiles for, OpenBLAS by the
/// processor that it runs on.
std::string arithmetic(const std::string& executor) {
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  const size_t version_end = config.find(' ', config.find(' ') + 1);
  std::string text = executor + ", " + kCompiler + " for " DERRD_BUILD ", " + kInstructions + ", " +
                     config.substr(0, version_end) + " for " + openblas_get_corename();
#if defined(__GLIBC__)
  text += std::string(", glibc ") + gnu_get_libc_version();
#endif
  return text;
}

/// 0 if the system does not tell.
int64_t memory_bytes() {
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? pages * page : 0;
}

}  // namespace

namespace cpu {

void count_launch() { ++launches; }

}  // namespace cpu

Stream::Stream() : Stream(Nothing()) {
  // The kernels' blocks are what runs in parallel; BLAS threads of its own would fight them.
  openblas_set_num_threads(1);
}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
void Stream::synchronize() const {
  cpu::refuse_recording("the host waits");
  ++synchronizations;
}

TimeMark::TimeMark() = default;
TimeMark::~TimeMark() = default;
void TimeMark::set(const Stream&) {
  cpu::refuse_recording("a time is taken");
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  seconds_ = std::chrono::duration<double>(now).count();
}
double TimeMark::seconds_since(const TimeMark& earlier) const {
  return seconds_ - earlier.seconds_;
}

int64_t stream_bytes() { return 0; }

bool checks_reads() { return cpu::strict_as_gpu(); }

Counters counters() {
  return {allocations, synchronizations, launches, memory.now(), memory.peak()};
}
void restart_peak_device_bytes() { memory.restart_peak(); }

AvailableMemory available_memory() {
  const std::optional<int64_t> bytes = available_host_memory();
  return {bytes, bytes, /*shared=*/true};
}

DeviceInfo device_info() {
  const cpu::ExecutorInfo executor = cpu::executor_info();
  std::string libraries = std::string("OpenBLAS (") + openblas_get_corename() +
                          " kernels), Thrust " + std::to_string(THRUST_MAJOR_VERSION) + "." +
                          std::to_string(THRUST_MINOR_VERSION);
  if (!executor.library.empty()) libraries += ", " + executor.library;
  const int64_t cache_bytes = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
  return {executor.name,  processor_name(), std::move(libraries), arithmetic(executor.name),
          memory_bytes(), cache_bytes,      executor.threads};
}

void* device_allocate(int64_t bytes) {
  if (bytes == 0) return nullptr;
  cpu::refuse_recording("memory is allocated");
  ++allocations;
  const size_t rounded = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
  const bool is_large = rounded >= kHugePage;
  void* pointer = nullptr;
  if (posix_memalign(&pointer, is_large ? kHugePage : kAlignment, rounded) != 0) {
    throw out_of_memory(bytes, memory.now(), available_host_memory());
  }
  memory.add(bytes);
  // Rows that are gathered from all over a table would miss the TLB of small pages.
  if (is_large) madvise(pointer, rounded, MADV_HUGEPAGE);
  if (cpu::strict_as_gpu()) std::memset(pointer, 0xff, rounded);  // NaN, as float or double
  return pointer;
}

void device_free(void* pointer, int64_t bytes) noexcept {
  if (pointer == nullptr) return;
  cpu::spoil_recording("memory is freed");
  memory.add(-bytes);
  std::free(pointer);
}

void copy_to_device(void* device, const void* host, int64_t bytes, const Stream& stream) {
  stream.synchronize();
  if (bytes > 0) std::memcpy(device, host, static_cast<size_t>(bytes));
}
void copy_to_host(void* host, const void* device, int64_t bytes, const Stream& stream) {
  stream.synchronize();
  if (bytes > 0) std::memcpy(host, device, static_cast<size_t>(bytes));
}
void copy_on_device(void* to, const void* from, int64_t bytes, const Stream& stream) {
  if (cpu::record([=, &stream] { copy_on_device(to, from, bytes, stream); })) return;
  if (bytes > 0) std::memmove(to, from, static_cast<size_t>(bytes));
}
void fill_zero(void* device, int64_t bytes, const Stream& stream) {
  if (cpu::record([=, &stream] { fill_zero(device, bytes, stream); })) return;
  if (bytes > 0) std::memset(device, 0, static_cast<size_t>(bytes));
}

}  // namespace derrd
