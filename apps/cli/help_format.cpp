#include "apps/cli/help_format.h"

#include <fmt/format.h>

#include <sstream>
#include <string>

namespace derrd {

namespace {

/// Breaks a text into lines that leave room for `column` characters before each.
std::string wrapped(const std::string& description, size_t column, const std::string& newline) {
  constexpr size_t kLineWidth = 100;
  const size_t width = kLineWidth - column;
  std::istringstream words(description);
  std::string text;
  size_t line = 0;
  for (std::string word; words >> word;) {
    if (line > 0 && line + 1 + word.size() > width) {
      text += newline;
      line = 0;
    } else if (line > 0) {
      text += ' ';
      ++line;
    }
    text += word;
    line += word.size();
  }
  return text;
}

}  // namespace

std::string HelpFormat::make_option_desc(const CLI::Option* option) const {
  return wrapped(option->get_description(), get_column_width(), "\n");
}

std::string HelpFormat::make_subcommand(const CLI::App* command) const {
  constexpr size_t kColumn = 14;
  return fmt::format(
      "  {:<{}}{}\n", command->get_name(), kColumn - 2,
      wrapped(command->get_description(), kColumn, "\n" + std::string(kColumn, ' ')));
}

}  // namespace derrd
