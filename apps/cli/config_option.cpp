#include "apps/cli/config_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "data/formats/file_bytes.h"
#include "data/printable.h"

namespace derrd {

namespace {

using OptionSet = std::set<const CLI::Option*>;

/// Whether the command line has an option that this one can't be together with.
bool excluded(const CLI::Option& option, const OptionSet& given) {
  return std::ranges::any_of(option.get_excludes(),
                             [&](const CLI::Option* other) { return given.contains(other); });
}

/// @param given options of the command line
void apply(CLI::App& command, const CLI::ConfigItem& item, const OptionSet& given) {
  if (!item.parents.empty() && item.parents.front() != command.get_name()) {
    const std::string& table = item.parents.front();
    const CLI::App* program = command.get_parent();
    const auto is_table = [&](const CLI::App* other) { return other->check_name(table); };
    if (program == nullptr ||
        std::ranges::any_of(program->get_subcommands([](const CLI::App*) { return true; }),
                            is_table)) {
      return;
    }
    throw CLI::ConfigError(
        fmt::format("--config: there is no command {} that the table [{}] could be for", table,
                    table),
        CLI::ExitCodes::ConfigError);
  }
  const bool marks_table = item.name == "++" || item.name == "--";
  if (marks_table) return;
  CLI::Option* option = command.get_option_no_throw("--" + item.name);
  if (option == nullptr) option = command.get_option_no_throw(item.name);
  if (option == nullptr || !option->get_configurable() || item.parents.size() > 1) {
    throw CLI::ConfigError(
        "--config: " + command.get_name() + " has no option " + printable(item.fullname()),
        CLI::ExitCodes::ConfigError);
  }
  if (option->count() > 0 || excluded(*option, given)) return;
  if (option->get_expected_min() == 0) {
    option->add_result(
        option->get_flag_value(item.name, command.get_config_formatter()->to_flag(item)));
  } else {
    option->add_result(item.inputs);
  }
}

/// "-o", or "--log" where there is no short name.
std::string name_of(const CLI::Option& option) {
  const std::vector<std::string>& letters = option.get_snames();
  return letters.empty() ? option.get_name() : "-" + letters.front();
}

/// @throws CLI::ValidationError if the command would write over its own configuration.
void require_kept(const CLI::App& command, const std::string& path) {
  for (const CLI::Option* option : command.get_options()) {
    const bool output =
        std::ranges::any_of(std::array{"output", "log", "checkpoint", "write"},
                            [&](const char* name) { return option->check_lname(name); });
    if (!output) continue;
    for (const std::string& file : option->results()) {
      if (!same_file(file, path)) continue;
      throw CLI::ValidationError(fmt::format(
          "--config and {} both name {}; give each a file of its own", name_of(*option), file));
    }
  }
}

}  // namespace

void add_config_option(CLI::App& command) {
  // CLI11 reads configuration files of the main program only.
  CLI::App* owner = &command;
  command
      .add_option_function<std::string>(
          "--config",
          [owner](const std::string& path) {
            OptionSet given;
            for (const CLI::Option* option : owner->get_options()) {
              if (option->count() > 0) given.insert(option);
            }
            std::string text = read_text(path);
            if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
            std::istringstream stream(text);
            for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(stream)) {
              apply(*owner, item, given);
            }
            require_kept(*owner, path);
          },
          "TOML file with values for these options; the command line wins")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->configurable(false);
}

}  // namespace derrd
