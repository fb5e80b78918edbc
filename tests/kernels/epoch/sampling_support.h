#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/kernels/support.h"

namespace derrd::test {

/// Tells whether an event of this probability may have come `count` times in n independent trials:
/// within 4.5 standard deviations, which a correct sampler leaves for one seed in 150,000. Tests
/// have fixed seeds.
inline ::testing::AssertionResult plausible(int64_t count, int64_t n, double probability) {
  const double expected = static_cast<double>(n) * probability;
  const double deviation = std::sqrt(expected * (1 - probability));
  const double error = static_cast<double>(count) - expected;
  if (std::abs(error) <= 4.5 * deviation + 1e-9) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << count << " of " << n << ", expected " << expected << " +- " << deviation << ": off by "
         << error / deviation << " standard deviations";
}

/// Device memory for compressed rows given as vectors.
class HostRows {
 public:
  explicit HostRows(const std::vector<std::vector<int32_t>>& rows)
      : offsets_(static_cast<int64_t>(rows.size()) + 1), items_(total(rows)) {
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> items;
    for (const auto& row : rows) {
      items.insert(items.end(), row.begin(), row.end());
      offsets.push_back(static_cast<int64_t>(items.size()));
    }
    offsets_.set(offsets);
    items_.set(items);
  }
  SparseRows view() const { return {offsets_.const_view(), items_.const_view()}; }

 private:
  static int64_t total(const std::vector<std::vector<int32_t>>& rows) {
    int64_t n = 0;
    for (const auto& row : rows) n += static_cast<int64_t>(row.size());
    return n;
  }
  Guarded<int64_t> offsets_;
  Guarded<int32_t> items_;
};

}  // namespace derrd::test
