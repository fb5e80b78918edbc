#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace derrd::test {

inline std::vector<float> random_normal(int64_t n, uint64_t seed, float scale = 1.0f) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(generator);
  return values;
}

}  // namespace derrd::test
