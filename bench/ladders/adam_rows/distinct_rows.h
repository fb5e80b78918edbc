#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "kernels/epoch/segments.h"

namespace derrd::ladder {

/// Rows that the steps of an AdamEpoch read, [steps, batch] of a table of `table_rows`: random, and
/// distinct within a step.
inline std::vector<int32_t> distinct_rows(int64_t steps, int64_t batch, int64_t table_rows,
                                          uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<int32_t> order(static_cast<size_t>(table_rows));
  std::iota(order.begin(), order.end(), 0);
  std::vector<int32_t> rows;
  for (int64_t step = 0; step < steps; ++step) {
    for (int64_t i = 0; i < batch; ++i) {  // the first rows of a shuffle
      std::uniform_int_distribution<int64_t> rest(i, table_rows - 1);
      std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(rest(generator))]);
      rows.push_back(order[static_cast<size_t>(i)]);
    }
  }
  return rows;
}

/// Where the steps' rows begin in them.
inline std::vector<BatchCursor> batches_of(int64_t steps, int64_t batch) {
  std::vector<BatchCursor> batches;
  for (int64_t step = 0; step < steps; ++step) {
    batches.push_back({static_cast<int32_t>(step), static_cast<int32_t>(step * batch),
                       static_cast<int32_t>(batch)});
  }
  return batches;
}

}  // namespace derrd::ladder
