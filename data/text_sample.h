#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/formats/text_lines.h"

namespace derrd {

/// Line at the beginning of a text.
struct SampleLine {
  int64_t number;  ///< from 1
  std::string_view text;
};

/// First lines of a text that are not blank, without the `#` and `%` lines above the others.
struct TextSample {
  std::vector<SampleLine> comments;
  std::vector<SampleLine> lines;
};

/// Takes a sample from LineReader::head(). Lines that begin with `#` or `%` are comments unless all
/// lines do.
TextSample sample_text(std::string_view head);

/// Numbers of cells that a separator makes.
struct Widths {
  std::vector<size_t> of_line;  ///< [n]; 0 where a quoted cell does not end on the line
  size_t usual = 0;             ///< number of cells that most lines have
  size_t usual_lines = 0;       ///< number of lines that have it

  bool agree() const { return usual > 1 && 2 * usual_lines > of_line.size(); }
};
Widths widths_of(std::span<const SampleLine> lines, const std::string& separator);

/// Returns the separator that makes equally many cells, more than one, of most lines; nothing if
/// there is none. The choice is among tab, else comma, semicolon and `|` (of several the one that
/// stands first in most lines), else `::`.
std::optional<std::string> agreed_separator(std::span<const SampleLine> lines);

}  // namespace derrd
