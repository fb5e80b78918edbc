#include "data/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "data/error.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

namespace {

// In the order of enum Format.
constexpr std::array<std::string_view, 8> kFormatNames{"auto", "citeulike", "adjacency", "tsv",
                                                       "csv",  "inter",     "movielens", "table"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSeparatorNames{
    {{"tab", "\t"}, {"comma", ","}, {"semicolon", ";"}, {"blanks", ""}, {"\\t", "\t"}, {" ", ""}}};

}  // namespace

Format format_from_name(std::string_view name) {
  const auto found = std::ranges::find(kFormatNames, name);
  if (found == kFormatNames.end()) {
    throw Error(fmt::format("there is no format {}; choose among {}", printable(name),
                            joined(kFormatNames)));
  }
  return static_cast<Format>(found - kFormatNames.begin());
}

std::string_view format_name(Format format) { return kFormatNames[static_cast<size_t>(format)]; }

std::string separator_from_name(std::string_view name) {
  for (const auto& [known, separator] : kSeparatorNames) {
    if (name == known) return std::string(separator);
  }
  size_t bytes = 1;  // of the first character
  while (bytes < name.size() && (static_cast<unsigned char>(name[bytes]) & 0xC0) == 0x80) ++bytes;
  const bool one = bytes == name.size() && name != "\"" && name != "\n" && name != "\r";
  if (name.empty() || (!one && name != "::")) {
    throw Error(fmt::format(
        "there is no separator {}; give tab, comma, semicolon, blanks, :: or one character",
        printable(name)));
  }
  return std::string(name);
}

std::string separator_name(std::string_view separator) {
  for (const auto& [name, known] : kSeparatorNames) {
    if (separator == known) return std::string(name);
  }
  return std::string(separator);
}

}  // namespace derrd
