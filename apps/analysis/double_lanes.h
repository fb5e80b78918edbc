#pragma once

#include <cstddef>
#include <cstring>

namespace derrd {

/// Number of doubles in one of the processor's vectors.
#if defined(__AVX512F__)
inline constexpr size_t kDoubleLanes = 8;
#elif defined(__AVX__)
inline constexpr size_t kDoubleLanes = 4;
#else
inline constexpr size_t kDoubleLanes = 2;
#endif

/// Numbers that are computed with side by side.
typedef double DoubleLanes __attribute__((vector_size(kDoubleLanes * sizeof(double))));

/// Reads kDoubleLanes numbers.
inline DoubleLanes load_lanes(const double* from) {
  DoubleLanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

}  // namespace derrd
