#include "kernels/platform/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/platform/host_memory.h"
#include "tests/files.h"
#include "tests/kernels/support.h"

// The sanitizers' allocators give no memory in the way of malloc then, instead of ending the
// program.
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace derrd::test::memory_test {
namespace {

std::vector<int32_t> numbers(int32_t n) {
  std::vector<int32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 1);
  return values;
}

TEST(MemoryTest, HostDataMakesTheRoundTrip) {
  for (const int64_t n : kEdgeSizes) {
    const std::vector<int32_t> values = numbers(static_cast<int32_t>(n));
    const DeviceArray<int32_t> array(std::span<const int32_t>(values), stream());
    EXPECT_EQ(array.size(), n);
    EXPECT_EQ(array.bytes(), 4 * n);
    EXPECT_EQ(array.to_host(stream()), values);
    EXPECT_EQ(array.data() == nullptr, n == 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(array.data()) % 256, 0u);
  }
}

TEST(MemoryTest, ZeroAndCopyOnDevice) {
  const std::vector<int32_t> values = numbers(100);
  const DeviceArray<int32_t> from(std::span<const int32_t>(values), stream());
  const DeviceArray<int32_t> to(100);
  to.zero(stream());
  EXPECT_EQ(to.to_host(stream()), std::vector<int32_t>(100, 0));
  copy_on_device(to.data() + 10, from.data(), 20 * 4, stream());
  std::vector<int32_t> expected(100, 0);
  std::copy_n(values.begin(), 20, expected.begin() + 10);
  EXPECT_EQ(to.to_host(stream()), expected);
}

TEST(MemoryTest, ArraysMoveAndDoNotCopy) {
  static_assert(!std::is_copy_constructible_v<DeviceArray<float>>);
  static_assert(!std::is_copy_assignable_v<DeviceArray<float>>);
  static_assert(!std::is_copy_constructible_v<Stream>);
  const std::vector<int32_t> values = numbers(5);
  DeviceArray<int32_t> first(std::span<const int32_t>(values), stream());
  int32_t* const data = first.data();
  const int64_t allocations = counters().allocations;

  DeviceArray<int32_t> second(std::move(first));
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(first.size(), 0);
  EXPECT_EQ(second.data(), data);
  DeviceArray<int32_t> third;
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.size(), 5);
  EXPECT_EQ(third.to_host(stream()), values);
  EXPECT_EQ(counters().allocations, allocations);
}

TEST(MemoryTest, AStreamMoves) {
  Stream first;
  void* const native = first.native();
  Stream second(std::move(first));
  EXPECT_EQ(second.native(), native);
  Stream third;
  third = std::move(second);
  EXPECT_EQ(third.native(), native);
  third.synchronize();
}

TEST(MemoryTest, AllocationsAndWaitsAreCounted) {
  const Counters before = counters();
  const DeviceArray<float> empty(0);
  EXPECT_EQ(counters().allocations, before.allocations);
  const DeviceArray<float> some(3);
  EXPECT_EQ(counters().allocations, before.allocations + 1);
  some.zero(stream());
  EXPECT_EQ(counters().synchronizations, before.synchronizations);
  some.to_host(stream());
  EXPECT_EQ(counters().synchronizations, before.synchronizations + 1);
  stream().synchronize();
  EXPECT_EQ(counters().synchronizations, before.synchronizations + 2);
  EXPECT_EQ(counters().launches, before.launches);
}

TEST(MemoryTest, BytesAreCountedAndTheirPeak) {
  const int64_t before = counters().device_bytes;
  restart_peak_device_bytes();
  {
    const DeviceArray<float> kept(1000);
    EXPECT_EQ(counters().device_bytes, before + 4000);
    { const DeviceArray<double> passing(100); }
    DeviceArray<uint8_t> moved(7);
    DeviceArray<uint8_t> to;
    to = std::move(moved);
    EXPECT_EQ(counters().device_bytes, before + 4007);
  }
  EXPECT_EQ(counters().device_bytes, before);
  EXPECT_EQ(counters().peak_device_bytes, before + 4800);
  restart_peak_device_bytes();
  EXPECT_EQ(counters().peak_device_bytes, before);
}

TEST(MemoryTest, AvailableMemoryIsPartOfTheMachine) {
  const AvailableMemory available = available_memory();
  ASSERT_TRUE(available.host);
  EXPECT_GT(*available.host, 0);
  EXPECT_EQ(available.shared, device_info().executor != "cuda");
  ASSERT_TRUE(available.device);
  EXPECT_GT(*available.device, 0);
  if (!available.shared) {
    EXPECT_LE(*available.device, device_info().memory_bytes);
  }
}

/// Files as a system shows them.
class HostMemory : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path(folder_.path()) / path;
    std::filesystem::create_directories(file.parent_path());
    write_text(file, text);
  }
  std::optional<int64_t> available() const { return available_host_memory(folder_.path()); }

  TestFolder folder_;
};

TEST_F(HostMemory, IsUnknownIfTheSystemSaysNothing) {
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit{};
    ASSERT_EQ(getrlimit(resource, &limit), 0);
    if (limit.rlim_cur != RLIM_INFINITY) GTEST_SKIP() << "the tests themselves are limited";
  }
  EXPECT_FALSE(available());
}

TEST_F(HostMemory, IsWhatTheMachineHas) {
  put("proc/meminfo", "MemTotal: 900 kB\nMemAvailable:   500 kB\nSwapFree:  20 kB\n");
  EXPECT_EQ(available(), 520 * 1024);
}

TEST_F(HostMemory, TellsTheProcesssPeak) {
  EXPECT_FALSE(peak_host_memory(folder_.path()));
  put("proc/self/status", "Name:\tderrd\nVmPeak:\t  900 kB\nVmHWM:\t  70 kB\nVmRSS:\t 60 kB\n");
  EXPECT_EQ(peak_host_memory(folder_.path()), 70 * 1024);
  std::vector<char> pages(64 << 20, 'x');
  EXPECT_GT(peak_host_memory().value_or(0), std::ssize(pages)) << pages.back();
}

TEST_F(HostMemory, IsWhatTheControlGroupsLeave) {
  put("proc/meminfo", "MemAvailable: 500 kB\n");
  put("proc/self/cgroup", "0::/slice/job\n");
  put("sys/fs/cgroup/slice/job/memory.max", "max\n");
  put("sys/fs/cgroup/slice/job/memory.current", "1000\n");
  EXPECT_EQ(available(), 500 * 1024);
  put("sys/fs/cgroup/slice/memory.max", "300000\n");
  put("sys/fs/cgroup/slice/memory.current", "100000\n");
  EXPECT_EQ(available(), 200000);
  // Files that nobody has used lately can be dropped.
  put("sys/fs/cgroup/slice/memory.stat", "anon 5\nactive_file 3\ninactive_file 40000\n");
  EXPECT_EQ(available(), 240000);
  put("sys/fs/cgroup/slice/job/memory.max", "50000\n");
  EXPECT_EQ(available(), 49000);
  put("sys/fs/cgroup/slice/job/memory.current", "70000\n");
  EXPECT_EQ(available(), 0);
}

TEST_F(HostMemory, IsWhatControlGroupsOfVersionOneLeave) {
  put("proc/self/cgroup", "12:cpu,cpuacct:/other\n5:memory:/docker/17\n0::/unused\n");
  // A container sees its own group as the topmost one.
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "80000\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "30000\n");
  put("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n");
  EXPECT_EQ(available(), 52000);
}

TEST_F(HostMemory, IsWhatTheAddressSpaceLeaves) {
  put("proc/meminfo", "MemAvailable: 100000000000 kB\n");
  put("proc/self/statm", "10 5 4 3 0 2 0\n");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  constexpr rlim_t kLimit = rlim_t{1} << 45;  // does no harm
  const rlimit limited = {std::min(kLimit, before.rlim_max), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limited), 0);
  EXPECT_EQ(available(), static_cast<int64_t>(limited.rlim_cur) - 10 * sysconf(_SC_PAGESIZE));
  setrlimit(RLIMIT_AS, &before);
}

TEST(MemoryTest, TooMuchMemoryIsRefusedWithItsSize) {
  constexpr int64_t kTooMany = int64_t{1} << 52;  // bytes: no address space has them
  try {
    const DeviceArray<uint8_t> array(kTooMany);
    FAIL() << "allocated " << array.bytes() << " bytes";
  } catch (const DeviceError& error) {
    for (const char* part : {"4503599627370496 bytes", "are allocated", "are available"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
}

TEST(MemoryTest, ViewsNarrowToConstAndSlice) {
  float storage[12] = {};
  const Matrix<float> matrix = {storage, 3, 4};
  EXPECT_EQ(matrix.size(), 12);
  EXPECT_EQ(matrix.row(2), storage + 8);
  const Matrix<const float> rows = matrix.slice(1, 2);
  EXPECT_EQ(rows.data, storage + 4);
  EXPECT_EQ(rows.rows, 2);
  EXPECT_EQ(rows.cols, 4);
  const Vector<const float> part = matrix.flat().slice(3, 5);
  EXPECT_EQ(&part[0], storage + 3);
  EXPECT_EQ(part.size, 5);
  static_assert(!std::is_convertible_v<Vector<const float>, Vector<float>>);
  static_assert(!std::is_convertible_v<Matrix<const float>, Matrix<float>>);
}

TEST(MemoryTest, TheDeviceIsNamed) {
  const DeviceInfo info = device_info();
  EXPECT_TRUE(info.executor == "cuda" || info.executor == "cpu" || info.executor == "check")
      << info.executor;
  EXPECT_FALSE(info.name.empty());
  EXPECT_FALSE(info.libraries.empty());
  EXPECT_TRUE(info.arithmetic.starts_with(info.executor + ", ")) << info.arithmetic;
  EXPECT_EQ(info.arithmetic.find('\n'), std::string::npos);
  EXPECT_GE(info.memory_bytes, int64_t{1} << 28);
  EXPECT_GE(info.threads, 1);
  EXPECT_GE(info.cache_bytes, 0);
  EXPECT_LT(info.cache_bytes, int64_t{1} << 34);
  if (info.executor == "cpu") {
    set_threads(1);
    EXPECT_EQ(device_info().threads, 1);
    set_threads(0);
    EXPECT_EQ(device_info().threads, info.threads);
  }
}

}  // namespace
}  // namespace derrd::test::memory_test
