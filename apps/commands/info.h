#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd info`: what a file is and what made it, or what this program is and runs on.
void add_info(CLI::App& app);

}  // namespace derrd
