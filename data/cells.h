#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/formats/text_lines.h"

namespace derrd {

/// Splitter of a table's lines into cells, without the blanks at their ends. A cell that begins
/// with a quote ends with one; it may hold separators, line ends, and `""` for a quote. Any other
/// quote is text. In a table with tabs a quote that does not open such a cell is text too, and such
/// a cell has no tab if it has a line end: titles often begin with a quote.
class CellSplitter {
 public:
  /// @param separator one or more bytes; empty: runs of spaces and tabs
  explicit CellSplitter(std::string separator) : separator_(std::move(separator)) {}

  /// Splits the current line, which is extended if a quoted cell goes on below. The cells are views
  /// that hold until the next line is read or split.
  /// @throws LineError if a quoted cell does not end well.
  void split(LineReader& lines, std::vector<std::string_view>& cells);

 private:
  /// Cell [begin, end) of the line; `next` is where the separator behind it begins.
  struct Range {
    size_t begin, end, next;
    bool quoted = false;
  };
  Range plain_cell(std::string_view line, size_t at) const;
  Range cell(LineReader& lines, size_t at) const;
  std::string_view content(std::string_view line, const Range& range, std::string& unquoted) const;

  std::string separator_;
  std::vector<Range> ranges_;
  std::vector<std::string> unquoted_;
};

}  // namespace derrd
