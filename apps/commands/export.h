#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd export`: writes a model's vectors or lists for other programs.
void add_export(CLI::App& app);

}  // namespace derrd
