#include "apps/cli/config_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "apps/cli/output_checks.h"
#include "apps/cli/toml_table.h"
#include "apps/cli/usage_error.h"
#include "data/formats/file_bytes.h"
#include "data/printable.h"

namespace derrd {

namespace {

using OptionSet = std::set<const CLI::Option*>;

OptionSet given_options(const CLI::App& command) {
  OptionSet given;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0) given.insert(option);
  }
  return given;
}

/// Tells whether the command line has an option that excludes this one.
bool excluded(const CLI::Option& option, const OptionSet& given) {
  return std::ranges::any_of(option.get_excludes(),
                             [&](const CLI::Option* other) { return given.contains(other); });
}

/// @param given options of the command line
void apply(CLI::App& command, const TomlTable& table, const OptionSet& given,
           const std::string& path) {
  for (const TomlTable::Value& value : table.values) {
    CLI::Option* option = command.get_option_no_throw("--" + value.key);
    if (option == nullptr) option = command.get_option_no_throw(value.key);
    if (option == nullptr || !option->get_configurable()) {
      throw UsageError(fmt::format("{}:{}: {} has no option {}", path, value.line,
                                   command.get_name(), printable(value.key)));
    }
    if (option->count() == 0 && !excluded(*option, given)) set_from_file(*option, value.texts);
  }
}

void require_command(const CLI::App& program, const TomlTable& table, const std::string& path) {
  const auto commands = program.get_subcommands([](const CLI::App*) { return true; });
  const bool known = std::ranges::any_of(
      commands, [&](const CLI::App* command) { return command->get_name() == table.name; });
  if (known) return;
  throw UsageError(fmt::format("{}:{}: there is no command {} for the table [{}]", path, table.line,
                               printable(table.name), table.name));
}

void read_config(CLI::App& command, const std::string& path) {
  const OptionSet given = given_options(command);
  const TomlTable file = read_toml(read_text(path), path);
  apply(command, file, given, path);
  for (const TomlTable& table : file.tables) {
    if (table.name != command.get_name()) {
      require_command(*command.get_parent(), table, path);
      continue;
    }
    apply(command, table, given, path);
    if (!table.tables.empty()) {
      throw UsageError(fmt::format("{}:{}: {} has no option {}", path, table.tables.front().line,
                                   command.get_name(), printable(table.tables.front().name)));
    }
  }
}

/// "-o", or "--log" for an option without a short name.
std::string name_of(const CLI::Option& option) {
  const std::vector<std::string>& letters = option.get_snames();
  return letters.empty() ? option.get_name() : "-" + letters.front();
}

/// @throws UsageError if the command would write over its own configuration.
void require_kept(const CLI::App& command, const std::string& path) {
  for (const CLI::Option* option : command.get_options()) {
    const bool output =
        std::ranges::any_of(std::array{"output", "log", "checkpoint"},
                            [&](const char* name) { return option->check_lname(name); });
    if (!output) continue;
    for (const std::string& file : option->results()) {
      if (!same_file(file, path)) continue;
      throw UsageError(fmt::format("--config and {} both name {}; give each a file of its own",
                                   name_of(*option), file));
    }
  }
}

}  // namespace

void set_from_file(CLI::Option& option, const std::vector<std::string>& values) {
  const bool flag = option.get_expected_min() == 0;
  if (flag) {
    const std::string value = values.empty() ? "" : values.front();
    option.add_result(option.get_flag_value(option.get_lnames().front(), value));
  } else {
    option.add_result(values);
  }
}

void add_config_option(CLI::App& command) {
  // CLI11 reads configuration files of the main program only.
  command
      .add_option_function<std::string>(
          "--config",
          [&command](const std::string& path) {
            read_config(command, path);
            require_kept(command, path);
          },
          "TOML file with values for these options; the command line wins")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->configurable(false);
}

}  // namespace derrd
