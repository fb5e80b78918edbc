#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace derrd {

/// Product of two numbers >= 0, or nothing if it exceeds int64.
inline std::optional<int64_t> checked_product(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// Product of a shape, or nothing if it exceeds int64 or an extent is negative.
inline std::optional<int64_t> checked_elements(const std::vector<int64_t>& shape) {
  std::optional<int64_t> elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    elements = checked_product(*elements, extent);
    if (!elements) return std::nullopt;
  }
  return elements;
}

/// Bytes of a tensor, or nothing if they exceed int64 or an extent is negative.
inline std::optional<int64_t> checked_bytes(const std::vector<int64_t>& shape,
                                            int64_t element_bytes) {
  const std::optional<int64_t> elements = checked_elements(shape);
  return elements ? checked_product(*elements, element_bytes) : std::nullopt;
}

}  // namespace derrd
