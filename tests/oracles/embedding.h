#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// table[rows[i]] for every i, [rows, cols].
std::vector<double> gather_rows(const std::vector<double>& table, int64_t cols,
                                const std::vector<int32_t>& rows);

/// grad[rows[i]] += values[i] for every i; rows may repeat.
void scatter_add_rows(std::vector<double>& grad, int64_t cols, const std::vector<int32_t>& rows,
                      const std::vector<double>& values);

}  // namespace derrd::oracle
