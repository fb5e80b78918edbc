#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace derrd {

/// Table of a TOML file. Values and inner tables stand in the file's order.
struct TomlTable {
  struct Value {
    std::string key;
    /// Texts as an option takes them on the command line; one text unless `list` is true.
    std::vector<std::string> texts;
    bool list = false;
    int line = 0;
  };
  std::string name;  ///< last part of its header; empty for the file itself
  int line = 0;
  std::vector<Value> values;
  std::vector<TomlTable> tables;
};

/// Reads TOML whose values are numbers, texts, true, false, or lists of these.
/// @param file_name for messages
/// @throws Error with file and line if the text is not TOML, if it has another kind of value or a
/// line of more than 16 KiB, or if it has more than 4 MiB.
TomlTable read_toml(std::string_view text, const std::string& file_name);

}  // namespace derrd
