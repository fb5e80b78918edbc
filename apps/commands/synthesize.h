#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd synthesize`: makes up a data set.
void add_synthesize(CLI::App& app);

}  // namespace derrd
