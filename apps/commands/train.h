#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd train`: trains a model on its own, a teacher or a student to compare with.
void add_train(CLI::App& app);

}  // namespace derrd
