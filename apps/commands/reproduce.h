#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds the subcommand `derrd reproduce`.
void add_reproduce(CLI::App& app);

}  // namespace derrd
