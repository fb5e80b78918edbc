#include "apps/cli/toml_table.h"

#include <fmt/format.h>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <optional>

#include "data/error.h"

namespace derrd {

namespace {

int line_of(const toml::source_region& source) { return static_cast<int>(source.begin.line); }

/// A single value as an option takes it; none if the node is a table, a list or a date.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return fmt::format("{}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return fmt::format("{}", truth->get());
  return std::nullopt;
}

TomlTable::Value value_of(const toml::key& key, const toml::node& node,
                          const std::string& file_name) {
  TomlTable::Value value{std::string(key.str()), {}, node.is_array(), line_of(key.source())};
  const auto append = [&](const toml::node& part) {
    const std::optional<std::string> text = text_of(part);
    if (!text) {
      throw Error(
          fmt::format("{}:{}: {} has to be a number, a text, true, false, or a list of these",
                      file_name, value.line, value.key));
    }
    value.texts.push_back(*text);
  };
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& part : *list) append(part);
  } else {
    append(node);
  }
  return value;
}

TomlTable table_of(const toml::table& source, std::string name, const std::string& file_name) {
  TomlTable table;
  table.name = std::move(name);
  table.line = line_of(source.source());
  for (const auto& [key, node] : source) {
    if (const toml::table* inner = node.as_table()) {
      table.tables.push_back(table_of(*inner, std::string(key.str()), file_name));
    } else {
      table.values.push_back(value_of(key, node, file_name));
    }
  }
  // toml++ sorts keys by name.
  std::ranges::stable_sort(table.values, {}, &TomlTable::Value::line);
  std::ranges::stable_sort(table.tables, {}, &TomlTable::line);
  return table;
}

/// Refuses what only a broken or hostile file has: toml++ calls itself for each dot of a name, and
/// looks names up part by part.
void check_size(std::string_view text, const std::string& file_name) {
  constexpr size_t kMaxFile = size_t{4} << 20;
  constexpr size_t kMaxLine = size_t{16} << 10;
  if (text.size() > kMaxFile) {
    throw Error(fmt::format("{}: has {} bytes; a file of options may have {}", file_name,
                            text.size(), kMaxFile));
  }
  int line = 1;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > kMaxLine) {
      throw Error(fmt::format(
          "{}:{}: the line has {} bytes; it may have {}; write a long list in several lines",
          file_name, line, end, kMaxLine));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
  }
}

}  // namespace

TomlTable read_toml(std::string_view text, const std::string& file_name) {
  check_size(text, file_name);
  try {
    return table_of(toml::parse(text), "", file_name);
  } catch (const toml::parse_error& e) {
    throw Error(
        fmt::format("{}:{}: {}", file_name, line_of(e.source()), std::string(e.description())));
  }
}

}  // namespace derrd
