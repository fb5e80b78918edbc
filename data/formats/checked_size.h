#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace derrd {

/// a * b, or nothing if that exceeds int64. Both are non-negative.
inline std::optional<int64_t> checked_product(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The product of a shape, or nothing if that exceeds int64 or an extent is negative.
inline std::optional<int64_t> checked_elements(const std::vector<int64_t>& shape) {
  std::optional<int64_t> elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    elements = checked_product(*elements, extent);
    if (!elements) return std::nullopt;
  }
  return elements;
}

}  // namespace derrd
