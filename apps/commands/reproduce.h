#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd reproduce`: trains and reports what the paper's tables need.
void add_reproduce(CLI::App& app);

}  // namespace derrd
