#pragma once

#include <string>
#include <vector>

#include "apps/analysis/principal_plane.h"

namespace derrd {

/// Dots of one look on a map.
struct MapDots {
  std::string label;  ///< shown at their middle; may be empty
  std::string entry;  ///< in the legend; may be empty
  size_t style = 0;   ///< form and colour
  double opacity = 1;
  double entry_opacity = 1;  ///< in the legend
  std::vector<Place> places;
};

/// Map of one state: dots at their places.
struct MapPanel {
  std::string title;
  std::vector<MapDots> dots;
};

/// Draws maps beside each other as an SVG file. All panels have the same places.
std::string svg_maps(const std::string& title, const std::vector<MapPanel>& panels);

}  // namespace derrd
