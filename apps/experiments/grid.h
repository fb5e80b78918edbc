#pragma once

#include <string>
#include <vector>

#include "apps/experiments/recipe.h"

namespace derrd {

/// Options that always have equal values, and the values to try: "k+l=10,20".
struct GridAxis {
  std::vector<std::string> options;
  std::vector<std::string> values;

  std::string name() const;  ///< "k+l"
};
using Grid = std::vector<GridAxis>;

/// Reads NAME[+NAME...]=VALUE[,VALUE...]. @throws UsageError for any other text.
GridAxis parse_axis(const std::string& text);
/// Checks a grid, except whether its options take the values.
/// @throws UsageError if an option or a value is there twice, or if a search may not set an option.
void check_grid(const Grid& grid, const std::string& method);
/// Returns the paper's grid for a method (data/recipes/grids.toml). @throws UsageError if there is
/// none.
Grid published_grid(const std::string& method);

/// Returns the options of a point, which has one value per axis.
RecipeOptions options_of(const Grid& grid, const std::vector<std::string>& point);
/// Lists all points of a grid; the last axis changes fastest.
std::vector<std::vector<std::string>> points_of(const Grid& grid);

}  // namespace derrd
