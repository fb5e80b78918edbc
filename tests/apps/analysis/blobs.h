#pragma once

#include <cstdint>
#include <vector>

#include "apps/analysis/points.h"
#include "tests/random_values.h"

namespace derrd::test {

/// Gaussian clouds of deviation 1, far from each other: point i belongs to cloud i % blobs, whose
/// centre is 30 from the origin along axis i % blobs.
struct Blobs {
  std::vector<float> values;
  std::vector<int32_t> labels;
  int64_t dimensions;

  Blobs(int32_t blobs, int32_t points, int64_t dimensions_, uint64_t seed)
      : values(random_normal(points * dimensions_, seed)), dimensions(dimensions_) {
    for (int32_t i = 0; i < points; ++i) {
      labels.push_back(i % blobs);
      values[static_cast<size_t>(i * dimensions + i % blobs)] += 30;
    }
  }

  Points points() const { return {values, dimensions}; }
};

}  // namespace derrd::test
