#include "apps/config_option.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

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
  const bool marks_table = item.name == "++" || item.name == "--";
  const bool other_command = !item.parents.empty() && item.parents.front() != command.get_name();
  if (marks_table || other_command) return;
  CLI::Option* option = command.get_option_no_throw("--" + item.name);
  if (option == nullptr) option = command.get_option_no_throw(item.name);
  if (option == nullptr || !option->get_configurable() || item.parents.size() > 1) {
    throw CLI::ConfigError("--config: " + command.get_name() + " has no option " + item.fullname(),
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
            for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
              apply(*owner, item, given);
            }
          },
          "TOML file with values for these options; the command line wins")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->configurable(false);
}

}  // namespace derrd
