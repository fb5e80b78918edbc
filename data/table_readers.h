#pragma once

#include "data/format.h"
#include "data/formats/text_lines.h"
#include "data/interactions.h"

namespace derrd {

/// Reads a line per interaction, in the format of `options`: tsv, csv, inter, movielens or table.
/// Tells `options.remark` how the table is taken.
/// @throws Error `<file>:<line>: <what is wrong>; <cure>`.
Interactions parse_table(LineReader& lines, const ReadOptions& options);

}  // namespace derrd
