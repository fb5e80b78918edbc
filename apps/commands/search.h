#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd search`: searches a grid for hyperparameters.
void add_search(CLI::App& app);

}  // namespace derrd
