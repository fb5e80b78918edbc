#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd recommend`: writes the best items of users, streaming through all of them.
void add_recommend(CLI::App& app);

}  // namespace derrd
