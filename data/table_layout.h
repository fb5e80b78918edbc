#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "data/format.h"
#include "data/formats/text_lines.h"

namespace derrd {

/// Where a table's rows begin, and which columns are read.
struct TableLayout {
  std::string separator;     ///< as CellSplitter takes it
  int64_t first_line = 1;    ///< line of the header or else of the first row
  bool header = false;       ///< whether that line names the columns
  size_t user_column = 0;    ///< index from 0
  size_t item_column = 1;    ///< index from 0
  size_t rating_column = 2;  ///< index from 0; of a use only with a minimum rating
  size_t time_column = 3;    ///< index from 0; of a use only where times are read
  std::string user_name;     ///< in the header
  std::string item_name;     ///< in the header
  std::string remark;        ///< all of this in words, to be shown
};

/// Finds the layout of a table from its first lines, before any is read.
/// @throws Error if the columns of users and items, or of ratings and times if they are needed,
/// can't be told; it names the columns and the options.
TableLayout find_layout(const LineReader& lines, const ReadOptions& options);

}  // namespace derrd
