#include "apps/help_format.h"

#include <sstream>
#include <string>

namespace derrd {

std::string HelpFormat::make_option_desc(const CLI::Option* option) const {
  constexpr size_t kLineWidth = 100;
  const size_t width = kLineWidth - get_column_width();
  std::istringstream words(option->get_description());
  std::string text;
  size_t line = 0;
  for (std::string word; words >> word;) {
    if (line > 0 && line + 1 + word.size() > width) {
      text += '\n';
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

}  // namespace derrd
