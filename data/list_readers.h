#pragma once

#include <optional>
#include <string_view>

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

/// Reads NCF's candidates: a line `(user,item)<tab>candidate<tab>...` per user and held-out item.
/// @throws Error as parse_citeulike.
Interactions parse_ncf_candidates(LineReader& lines, const ReadOptions& options);
/// User of a line of NCF's candidates, nothing for any other line.
std::optional<std::string_view> ncf_user(std::string_view line);

}  // namespace derrd
