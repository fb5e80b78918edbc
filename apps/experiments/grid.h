#pragma once

#include <string>
#include <vector>

#include "apps/experiments/recipe.h"

namespace derrd {

/// Options that share their values, and the values to try: "k+l=10,20" gives k and l the same.
struct GridAxis {
  std::vector<std::string> options;
  std::vector<std::string> values;

  std::string name() const;  ///< "k+l"
};
using Grid = std::vector<GridAxis>;

/// @throws Error unless the text is NAME[+NAME...]=VALUE[,VALUE...].
GridAxis parse_axis(const std::string& text);
/// What is wrong with a grid, whatever its values mean: options or values that are there twice,
/// options that are not for a search to choose. An empty text: nothing.
std::string grid_complaint(const Grid& grid, const std::string& method);
/// The paper's grid for a method (data/recipes/grids.toml). @throws Error if there is none.
Grid published_grid(const std::string& method);

/// A point has one value per axis, as it is given to the program.
Options options_of(const Grid& grid, const std::vector<std::string>& point);
/// Every combination; the last axis changes fastest.
std::vector<std::vector<std::string>> points_of(const Grid& grid);

}  // namespace derrd
