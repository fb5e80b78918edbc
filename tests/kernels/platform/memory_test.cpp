#include "kernels/platform/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

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

TEST(MemoryTest, TooMuchMemoryIsRefusedWithItsSize) {
  constexpr int64_t kTooMany = int64_t{1} << 52;  // bytes: no address space has them
  try {
    const DeviceArray<uint8_t> array(kTooMany);
    FAIL() << "allocated " << array.bytes() << " bytes";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("4503599627370496 bytes"), std::string::npos)
        << error.what();
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
