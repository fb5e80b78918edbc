#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "bench/kernels/support.h"
#include "tests/cases/sort_arrays.h"

namespace derrd::bench {

/// Offsets 0, length, 2 length, ... of `rows` rows.
inline std::vector<int64_t> even_offsets(int64_t rows, int64_t length) {
  std::vector<int64_t> offsets;
  for (int64_t row = 0; row <= rows; ++row) offsets.push_back(row * length);
  return offsets;
}

/// An item below `items`, popular ones (small numbers) more often: the density falls as
/// item^(-2/3), as teachers' lists and observed items roughly do.
inline int32_t popular_item(std::mt19937_64& generator, int64_t items) {
  const double u = std::uniform_real_distribution<double>(0.0, 1.0)(generator);
  return static_cast<int32_t>(u * u * u * static_cast<double>(items));
}

/// `rows` rows of `length` distinct popular items.
inline std::vector<int32_t> popular_rows(int64_t rows, int64_t length, int64_t items,
                                         uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<int64_t> last_row(static_cast<size_t>(items), -1);
  std::vector<int32_t> result;
  result.reserve(static_cast<size_t>(rows * length));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t taken = 0; taken < length;) {
      const int32_t item = popular_item(generator, items);
      if (std::exchange(last_row[static_cast<size_t>(item)], row) == row) continue;
      result.push_back(item);
      ++taken;
    }
  }
  return result;
}

/// `n` popular items, drawn independently.
inline DeviceArray<int32_t> popular_array(int64_t n, int64_t items, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<int32_t> host(static_cast<size_t>(n));
  for (int32_t& item : host) item = popular_item(generator, items);
  return to_device(host);
}

/// Sorts every row.
inline std::vector<int32_t> ascending_rows(std::vector<int32_t> rows, int64_t length) {
  for (auto begin = rows.begin(); begin != rows.end(); begin += length) {
    std::sort(begin, begin + length);
  }
  return rows;
}

}  // namespace derrd::bench
