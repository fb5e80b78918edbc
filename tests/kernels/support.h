#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/platform/memory.h"
#include "tests/random_values.h"
#include "tests/stream.h"

namespace derrd::test {

/// Sizes at and around a tile, and one beyond a block's chunk.
inline const std::vector<int64_t> kEdgeSizes = {0, 1, 31, 32, 33, 257};

/// Device memory of `size` elements between two zones of a known pattern. Its destructor fails the
/// test if a zone was written to. The content starts as the pattern, so a kernel that skips an
/// output element is seen too.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t size) : size_(size), memory_(size + 2 * kGuard) {
    const std::vector<uint8_t> pattern(static_cast<size_t>(memory_.bytes()), kPattern);
    copy_to_device(memory_.data(), pattern.data(), memory_.bytes(), stream());
  }
  explicit Guarded(const std::vector<T>& content) : Guarded(static_cast<int64_t>(content.size())) {
    set(content);
  }
  Guarded(std::initializer_list<T> content) : Guarded(std::vector<T>(content)) {}
  Guarded(Guarded&&) = default;
  ~Guarded() {
    try {
      EXPECT_EQ(written_outside(), "");
    } catch (const DeviceError& error) {
      ADD_FAILURE() << error.what();
    }
  }

  void set(const std::vector<T>& content) {
    ASSERT_EQ(static_cast<int64_t>(content.size()), size_);
    copy_to_device(data(), content.data(), size_ * static_cast<int64_t>(sizeof(T)), stream());
  }
  T* data() const { return memory_.data() + kGuard; }
  int64_t size() const { return size_; }
  Vector<T> view() const { return {data(), size_}; }
  Vector<const T> const_view() const { return {data(), size_}; }
  Matrix<T> matrix(int64_t rows, int64_t cols) const { return {data(), rows, cols}; }
  std::vector<T> host() const {
    std::vector<T> content(static_cast<size_t>(size_));
    copy_to_host(content.data(), data(), size_ * static_cast<int64_t>(sizeof(T)), stream());
    return content;
  }
  /// The first byte that was written before or behind the elements; empty: none.
  std::string written_outside() const {
    const std::vector<T> all = memory_.to_host(stream());
    const auto* bytes = reinterpret_cast<const uint8_t*>(all.data());
    const size_t guard = kGuard * sizeof(T);
    const size_t end = guard + static_cast<size_t>(size_) * sizeof(T);
    for (size_t i = 0; i < all.size() * sizeof(T); i = i + 1 == guard ? end : i + 1) {
      if (bytes[i] != kPattern) {
        return "byte " + std::to_string(static_cast<int64_t>(i) - static_cast<int64_t>(guard)) +
               " relative to the first element, of " + std::to_string(end - guard);
      }
    }
    return "";
  }

 private:
  static constexpr int64_t kGuard = 64;
  static constexpr uint8_t kPattern = 0xFE;  // a large negative float and integer, not a NaN
  int64_t size_;
  DeviceArray<T> memory_;
};

/// |actual - expected| <= absolute + relative * |expected| for every element; NaN never passes.
/// Says the worst element, with sign.
inline ::testing::AssertionResult close(std::span<const float> actual,
                                        std::span<const double> expected, double absolute,
                                        double relative) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure()
           << actual.size() << " elements, expected " << expected.size();
  }
  size_t worst = actual.size();
  double worst_excess = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double bound = absolute + relative * std::abs(expected[i]);
    const double error = static_cast<double>(actual[i]) - expected[i];
    double excess = std::abs(error) / bound;
    if (std::isnan(
            excess)) {  // a NaN on either side, infinities, or no error allowed and none made
      excess = actual[i] == expected[i] ? 0 : std::numeric_limits<double>::infinity();
    }
    if (excess > 1 && excess > worst_excess) {
      worst = i;
      worst_excess = excess;
    }
  }
  if (worst == actual.size()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "element " << worst << " of " << actual.size() << ": " << actual[worst] << ", expected "
         << expected[worst] << ", error " << static_cast<double>(actual[worst]) - expected[worst]
         << ", bound " << absolute + relative * std::abs(expected[worst]);
}

/// Equal to the bit: NaNs and zeros of either sign count.
inline ::testing::AssertionResult same_bits(const Guarded<float>& a, const Guarded<float>& b) {
  const std::vector<float> x = a.host();
  const std::vector<float> y = b.host();
  if (x.size() != y.size()) return ::testing::AssertionFailure() << "other sizes";
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::memcmp(&x[i], &y[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << ": " << x[i] << " and " << y[i];
    }
  }
  return ::testing::AssertionSuccess();
}

/// One thread and all of them give the same result.
template <class Run>
void expect_same_bits_at_any_number_of_threads(const Run& run) {
  set_threads(1);
  const auto one_thread = run();
  set_threads(0);
  EXPECT_TRUE(run() == one_thread);
}

inline std::vector<int32_t> random_below(int64_t n, int32_t bound, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<int32_t> uniform(0, bound - 1);
  std::vector<int32_t> values(static_cast<size_t>(n));
  for (int32_t& v : values) v = uniform(generator);
  return values;
}

inline std::vector<double> to_double(std::span<const float> values) {
  return {values.begin(), values.end()};
}

}  // namespace derrd::test
