#pragma once

#include "data/format.h"
#include "data/formats/text_lines.h"
#include "data/interactions.h"

namespace derrd {

/// Reads a line per user: the number of items, then the items. User ids are line numbers, from 0.
/// @throws Error `<file>:<line>: <what is wrong>; <cure>`.
Interactions parse_citeulike(LineReader& lines, const ReadOptions& options);

/// Reads a line per user: the user, then the items. A user may have several lines.
/// Lines that begin with `#` or `%` above the others are skipped.
/// @throws Error as parse_citeulike.
Interactions parse_adjacency(LineReader& lines, const ReadOptions& options);

}  // namespace derrd
