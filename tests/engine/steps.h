#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/epoch_plan.h"
#include "engine/parameters.h"
#include "kernels/platform/device.h"
#include "tests/to_host.h"

namespace derrd::test {

/// The current batch's position and size.
inline BatchCursor cursor_of(const BatchCursor* batch) {
  return to_host(Vector<const BatchCursor>{batch, 1})[0];
}

/// The rows of the current batch.
inline std::vector<int32_t> rows_of(RowSegments rows) {
  const BatchCursor cursor = cursor_of(rows.batch);
  return to_host(rows.rows.slice(cursor.begin, cursor.count));
}

/// The samples of the plan's current batch.
struct BatchSamples {
  explicit BatchSamples(const EpochPlan& plan) : cursor(cursor_of(plan.cursor())) {
    const auto part = [&](Vector<const int32_t> column) {
      return to_host(column.slice(cursor.begin, cursor.count));
    };
    users = part(plan.users());
    positives = part(plan.positives());
    negatives = part(plan.negatives());
  }
  BatchCursor cursor;
  std::vector<int32_t> users, positives, negatives;
};

inline void zero_gradients(const Parameters& parameters) {
  fill_zero(parameters.gradients().data, parameters.gradients().size * 4, stream());
}

/// `count` declared matrices from the first one on, in one of the arenas, without its padding.
inline std::vector<double> matrices_in(const Parameters& parameters, Vector<const float> arena,
                                       int64_t first, int64_t count) {
  const std::vector<float> all = to_host(arena);
  std::vector<double> values;
  for (int64_t i = first; i < first + count; ++i) {
    const Matrix<float> m = parameters.value({i});
    const auto begin = all.begin() + (m.data - parameters.values().data);
    values.insert(values.end(), begin, begin + m.size());
  }
  return values;
}

/// Expects gradients within the rounding of float32 sums of some hundred terms with partial
/// cancellation: 2e-5 of the largest one, which exceeds `least`.
inline void expect_gradients(const std::vector<double>& actual, const std::vector<double>& expected,
                             double least) {
  ASSERT_EQ(actual.size(), expected.size());
  double largest = 0;
  for (const double g : expected) largest = std::max(largest, std::abs(g));
  ASSERT_GT(largest, least);
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 2e-5 * largest) << "element " << i;
  }
}

/// Expects steps that neither allocate memory nor wait for the device.
template <class Step>
void expect_no_allocation_or_wait(const Step& step) {
  step();  // libraries set themselves up at their first use
  const Counters before = counters();
  step();
  step();
  const Counters after = counters();
  EXPECT_EQ(after.allocations, before.allocations);
  EXPECT_EQ(after.synchronizations, before.synchronizations);
  EXPECT_GT(after.launches, before.launches);
}

}  // namespace derrd::test
