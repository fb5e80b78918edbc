#pragma once

#include <CLI/CLI.hpp>

namespace derrd {

/// Formats help as CLI11 does, with descriptions wrapped to 100 columns.
class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() { column_width(34); }
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace derrd
