#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd prepare`: reads, filters and splits interactions into a data set.
void add_prepare(CLI::App& app);

}  // namespace derrd
