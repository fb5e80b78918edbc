#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace derrd {

/// Makes a line of a log that tells whether it is whole: the text of a JSON object with one more
/// key at its end, `check`, which is hash_of_text() of the text without it. Without a line's end.
/// @param object text that begins with { and ends with }
std::string checked_line(std::string_view object);

/// Returns the text that checked_line() made a line of; none if the line is torn, changed, or
/// without a check.
std::optional<std::string> read_checked_line(std::string_view line);

/// Extends the hash of a log by one more line, without its end. The hash of no lines is empty.
std::string extend_log_hash(std::string_view hash, std::string_view line);

}  // namespace derrd
