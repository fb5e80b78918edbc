#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Adds `--config FILE` to a command: a TOML file whose keys are the command's long options, at the
/// top or in a table with the command's name; tables of other commands are left alone. What the
/// command line gives wins. Call it before the other options are added: they are read in order.
void add_config_option(CLI::App& command);

}  // namespace derrd
