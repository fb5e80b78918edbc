#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd export`.
void add_export(CLI::App& app);

}  // namespace derrd
