#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `derrd recommend`: writes the best items of users, some users at a time.
void add_recommend(CLI::App& app);

}  // namespace derrd
