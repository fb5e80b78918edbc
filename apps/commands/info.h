#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd info`: describes a file and its origin, or this program and its device.
void add_info(CLI::App& app);

}  // namespace derrd
