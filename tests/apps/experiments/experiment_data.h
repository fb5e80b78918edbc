#pragma once

#include <string>

#include "tests/apps/program.h"

namespace derrd::test {

/// Interactions and a recipe to reproduce tables from in seconds.
struct SmallExperiment {
  /// Writes folder / "users.tsv" and folder / "recipe.toml".
  explicit SmallExperiment(const TemporaryFolder& folder, int epochs = 6);

  std::string data;    ///< the argument of --data; the name is CiteULike's, the data are not
  std::string recipe;  ///< path of the recipe
  std::string text;    ///< of the recipe
};

}  // namespace derrd::test
