#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace derrd {

/// Adds `--config FILE` to a command. The file is TOML: its keys are the command's long options, at
/// the top or in a table with the command's name. Tables of other commands are ignored. Options on
/// the command line win. Call it before the other options are added: they are read in order.
void add_config_option(CLI::App& command);

/// Gives an option values from a file, as if they stood on the command line; a flag takes "true" or
/// "false".
/// @throws CLI::Error if a flag gets something else.
void set_from_file(CLI::Option& option, const std::vector<std::string>& values);

}  // namespace derrd
