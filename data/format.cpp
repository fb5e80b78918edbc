#include "data/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/error.h"
#include "data/joined.h"
#include "data/printable.h"

namespace derrd {

namespace {

// In the order of enum Format.
constexpr std::array<std::string_view, 7> kFormatNames{"auto", "citeulike", "adjacency", "tsv",
                                                       "csv",  "inter",     "movielens"};

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

}  // namespace derrd
