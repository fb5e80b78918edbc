#pragma once

#include <array>
#include <vector>

#include "apps/analysis/points.h"

namespace derrd {

/// Place on a map: two coordinates.
using Place = std::array<double, 2>;

/// Projects points on the plane of their first two principal components: place 0 has the largest
/// variance, the mean is at the origin. Each axis points to where its component's largest entry is
/// positive. The coordinates of a component without variance are 0. Components whose variances
/// differ by less than about a hundredth may be mixed with each other. The same input gives the
/// same bits.
/// @return [points]
std::vector<Place> principal_plane(const Points& points);

}  // namespace derrd
