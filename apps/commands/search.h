#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds the subcommand `derrd search`.
void add_search(CLI::App& app);

}  // namespace derrd
