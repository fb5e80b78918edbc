#include "apps/experiments/recipe_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <vector>

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

/// The key that a line gives a value to; empty: none.
std::string key_of(const std::string& line) {
  const size_t equals = line.find('=');
  if (line.starts_with('#') || line.starts_with('[') || equals == std::string::npos) return "";
  const size_t begin = line.find_first_not_of(" \t\"");
  const size_t end = line.find_last_not_of(" \t\"", equals - 1);
  return begin > end || end == std::string::npos ? "" : line.substr(begin, end + 1 - begin);
}

bool opens(const std::string& line, const std::string& header) {
  return line == header || line.starts_with(header + " ") || line.starts_with(header + "#");
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
  std::istringstream stream(recipe);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);

  const std::string header = fmt::format("[{}.{}]", model, method);
  auto begin = std::ranges::find_if(lines, [&](const auto& line) { return opens(line, header); });
  if (begin == lines.end()) {
    lines.insert(lines.end(), {"", header});
    begin = lines.end() - 1;
  }
  auto end = std::find_if(begin + 1, lines.end(),
                          [](const std::string& line) { return line.starts_with('['); });
  std::vector<std::string> table = {*begin, std::string(kSearched) + searched};
  const auto is_new = [&](const std::string& line) {
    const std::string key = key_of(line);
    return line.starts_with(kSearched) ||
           std::ranges::find(options, key, &Option::name) != options.end();
  };
  std::istringstream found(toml_lines(options));
  for (std::string line; std::getline(found, line);) table.push_back(line);
  std::remove_copy_if(begin + 1, end, std::back_inserter(table), is_new);

  std::string text;
  const auto write = [&](auto from, auto to) {
    for (; from != to; ++from) text += *from + "\n";
  };
  write(lines.begin(), begin);
  write(table.begin(), table.end());
  write(end, lines.end());
  return text;
}

}  // namespace derrd
