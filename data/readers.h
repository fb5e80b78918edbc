#pragma once

#include <filesystem>
#include <string_view>

#include "data/format.h"
#include "data/interactions.h"

namespace derrd {

/// Reads a file of interactions. @throws Error `<file>:<line>: <what is wrong>; <cure>`.
Interactions read_interactions(const std::filesystem::path& path, const ReadOptions& options);

/// Reads a file of candidates, also NCF's: lines `(user,item)<tab>candidate<tab>...`, whose item is
/// the one held out. @throws Error as read_interactions.
Interactions read_candidates(const std::filesystem::path& path, const ReadOptions& options);

/// Reads interactions from memory. `name` stands for the file in messages and in the guess of the
/// format. @throws Error as read_interactions.
Interactions parse_interactions(std::string_view text, std::string_view name,
                                const ReadOptions& options);

/// Guesses the format of a text by the ending of `name` and by the text's first lines.
/// @throws Error if the format can't be told.
Format guess_format(std::string_view text, std::string_view name);

}  // namespace derrd
