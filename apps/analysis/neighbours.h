#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "apps/analysis/points.h"

namespace derrd {

/// Pairs of points of about the same cosine.
struct CosineDecile {
  double cosine = 0;      ///< mean
  double same_label = 0;  ///< share of pairs whose points have the same label
  int64_t pairs = 0;
};

/// Returns how often near points have the same label: draws pairs of different points, each pair
/// equally likely and independent of the others, sorts them by cosine and divides them into tenths,
/// of ascending cosine. A zero vector has cosine 0. Empty tenths are left out: of fewer than ten
/// pairs, of fewer than two points.
/// @param labels of each point
/// @param pairs number to draw
/// @throws std::invalid_argument unless there is a label for each point
std::vector<CosineDecile> same_label_by_cosine(const Points& points,
                                               std::span<const int32_t> labels, int64_t pairs,
                                               uint64_t seed);

}  // namespace derrd
