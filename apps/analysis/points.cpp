#include "apps/analysis/points.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace derrd {

Points::Points(std::span<const float> values, int64_t dimensions)
    : values_(values), dimensions_(static_cast<size_t>(dimensions)) {
  if (dimensions < 1 || values.size() % dimensions_ != 0) {
    throw std::invalid_argument("the values are not whole points of one dimension or more");
  }
  if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) {
    throw std::invalid_argument("a point's coordinates are not finite");
  }
}

}  // namespace derrd
