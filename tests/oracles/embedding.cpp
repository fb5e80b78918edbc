#include "tests/oracles/embedding.h"

#include <cstddef>

namespace derrd::oracle {

std::vector<double> gather_rows(const std::vector<double>& table, int64_t cols,
                                const std::vector<int32_t>& rows) {
  std::vector<double> out;
  for (const int32_t row : rows) {
    for (int64_t k = 0; k < cols; ++k) out.push_back(table[static_cast<size_t>(row * cols + k)]);
  }
  return out;
}

void scatter_add_rows(std::vector<double>& grad, int64_t cols, const std::vector<int32_t>& rows,
                      const std::vector<double>& values) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int64_t k = 0; k < cols; ++k) {
      grad[static_cast<size_t>(rows[i] * cols + k)] +=
          values[i * static_cast<size_t>(cols) + static_cast<size_t>(k)];
    }
  }
}

}  // namespace derrd::oracle
