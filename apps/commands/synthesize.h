#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd synthesize`: makes a synthetic data set.
void add_synthesize(CLI::App& app);

}  // namespace derrd
