#pragma once

#include <string>
#include <vector>

namespace derrd {

/// Splits a line at its tabs.
inline std::vector<std::string> tab_cells(const std::string& line) {
  std::vector<std::string> cells;
  for (size_t begin = 0;;) {
    const size_t tab = line.find('\t', begin);
    cells.push_back(line.substr(begin, tab - begin));
    if (tab == std::string::npos) return cells;
    begin = tab + 1;
  }
}

}  // namespace derrd
