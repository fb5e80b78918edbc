#pragma once

#include <vector>

#include "apps/analysis/points.h"
#include "apps/analysis/principal_plane.h"

namespace derrd {

/// Lays points out on a map, near ones near each other, by exact t-SNE (van der Maaten, Hinton,
/// JMLR 9, 2008) of perplexity 30. It starts from the principal plane, scaled to a deviation of
/// 1e-4; 1000 iterations with momentum and gains follow, in the first 100 of which attraction is
/// exaggerated fourfold. The learning rate is a twelfth of the number of points (Belkina et al.,
/// Nature Communications 10, 2019). The same input gives the same bits.
///
/// Time and memory grow with the square of the number of points: 3,000 of them take some seconds
/// and 80 MB, so of many points pass a sample. The perplexity of n points is at most (n-1)/3.
/// Points on a line stay on a line; points that are all equal stay at the origin.
/// @return [points], with mean 0
std::vector<Place> layout(const Points& points);

}  // namespace derrd
