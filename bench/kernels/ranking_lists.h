#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace derrd::bench {

/// `rows` rows of `length` distinct items below `items`, popular ones (small numbers) more often:
/// the density falls as item^(-2/3), as teachers' lists and observed items roughly do.
inline std::vector<int32_t> popular_rows(int64_t rows, int64_t length, int64_t items,
                                         uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  std::vector<int64_t> last_row(static_cast<size_t>(items), -1);
  std::vector<int32_t> result;
  result.reserve(static_cast<size_t>(rows * length));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t taken = 0; taken < length;) {
      const double u = uniform(generator);
      const auto item = static_cast<size_t>(u * u * u * static_cast<double>(items));
      if (last_row[item] == row) continue;
      last_row[item] = row;
      result.push_back(static_cast<int32_t>(item));
      ++taken;
    }
  }
  return result;
}

/// Sorts every row.
inline std::vector<int32_t> ascending_rows(std::vector<int32_t> rows, int64_t length) {
  for (auto begin = rows.begin(); begin != rows.end(); begin += length) {
    std::sort(begin, begin + length);
  }
  return rows;
}

/// Offsets 0, length, 2 length, ... of `rows` rows.
inline std::vector<int64_t> even_offsets(int64_t rows, int64_t length) {
  std::vector<int64_t> offsets(static_cast<size_t>(rows + 1));
  for (int64_t row = 0; row <= rows; ++row) offsets[static_cast<size_t>(row)] = row * length;
  return offsets;
}

}  // namespace derrd::bench
