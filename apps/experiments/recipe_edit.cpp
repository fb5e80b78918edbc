#include "apps/experiments/recipe_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>
#include <vector>

#include "apps/experiments/toml.h"
#include "data/error.h"

namespace derrd {

namespace {

constexpr std::string_view kSearched = "# searched: ";

std::string toml_value(const std::string& text) {
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  const bool bare = (error == std::errc() && end == last && text.front() != '.') ||
                    text == "true" || text == "false";
  if (bare) return text;
  std::string quoted = "\"";
  for (const char c : text)
    quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return quoted + "\"";
}

/// The headers of all tables.
void find_headers(const toml::table& table, std::vector<int>& lines) {
  for (const auto& [key, node] : table) {
    const toml::table* inner = node.as_table();
    if (inner == nullptr || inner->is_inline()) continue;
    lines.push_back(line_of(*inner));
    find_headers(*inner, lines);
  }
}

bool begins_with(const std::string& line, std::string_view text) {
  const size_t begin = line.find_first_not_of(" \t");
  return begin != std::string::npos && std::string_view(line).substr(begin).starts_with(text);
}

}  // namespace

std::string toml_lines(const Options& options) {
  std::string text;
  for (const Option& option : options)
    text += option.name + " = " + toml_value(option.value) + "\n";
  return text;
}

std::string with_options(const std::string& recipe, const std::string& model,
                         const std::string& method, const Options& options,
                         const std::string& searched) {
  std::vector<std::string> lines;
  std::istringstream stream(recipe);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  const std::string line_end = !lines.empty() && lines.front().ends_with('\r') ? "\r" : "";

  const std::string header = fmt::format("[{}.{}]", model, method);
  const toml::table document = toml::parse(recipe);
  const toml::table* table = document[model][method].as_table();
  std::set<int> replaced;
  auto last = static_cast<int>(lines.size());  // of the table, or where it will be
  if (table == nullptr) {
    lines.insert(lines.end(), {line_end, header + line_end});
    last += 2;
  }
  const int first = table == nullptr ? last : line_of(*table);
  if (table != nullptr) {
    if (table->is_inline() || !begins_with(lines.at(static_cast<size_t>(first) - 1), "[")) {
      throw Error(
          fmt::format("line {}: {} has to be a table with a header of its own", first, header));
    }
    std::vector<int> headers;
    find_headers(document, headers);
    for (const int line : headers) {
      if (line > first) last = std::min(last, line - 1);
    }
    for (const Option& option : options) {
      const auto found = table->find(option.name);
      if (found == table->end()) continue;
      const auto begin = static_cast<int>(found->first.source().begin.line);
      const auto end = static_cast<int>(found->second.source().end.line);
      for (int line = begin; line <= end; ++line) replaced.insert(line);
    }
    for (int line = first + 1; line <= last; ++line) {
      if (begins_with(lines[static_cast<size_t>(line) - 1], kSearched)) replaced.insert(line);
    }
  }

  std::string text;
  for (int line = 1; line <= static_cast<int>(lines.size()); ++line) {
    if (!replaced.contains(line)) text += lines[static_cast<size_t>(line) - 1] + "\n";
    if (line != first) continue;
    std::istringstream found(std::string(kSearched) + searched + "\n" + toml_lines(options));
    for (std::string added; std::getline(found, added);) text += added + line_end + "\n";
  }
  return text;
}

}  // namespace derrd
