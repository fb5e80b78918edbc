#pragma once

#include <string>
#include <string_view>

namespace derrd {

/// Text from a file, safe to show in a message: in quotes, escaped to ASCII, at most a line.
std::string printable(std::string_view text);

}  // namespace derrd
