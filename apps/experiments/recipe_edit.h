#pragma once

#include <string>

#include "apps/experiments/recipe.h"

namespace derrd {

/// `key = value` lines of TOML: numbers and truth values bare, other texts in quotes.
std::string toml_lines(const Options& options);

/// The text of a recipe in which the table [model.method] has these options, and after its header
/// the comment "# searched: ...", which replaces an earlier one. All other lines stay as they are;
/// a table that is not there is added at the end.
/// @param recipe valid TOML
/// @throws Error if the table is there without a header of its own.
std::string with_options(const std::string& recipe, const std::string& model,
                         const std::string& method, const Options& options,
                         const std::string& searched);

}  // namespace derrd
