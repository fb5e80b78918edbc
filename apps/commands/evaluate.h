#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd evaluate`: compares models on the items held out of a data set.
void add_evaluate(CLI::App& app);

}  // namespace derrd
