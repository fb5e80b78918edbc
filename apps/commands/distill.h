#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd distill`: trains a student with the help of a teacher.
void add_distill(CLI::App& app);

}  // namespace derrd
