#pragma once

#include <fmt/format.h>

#include <string>

namespace derrd {

/// The elements of a range with ", " between them.
template <class Range>
std::string joined(const Range& range) {
  std::string text;
  for (const auto& element : range) {
    if (!text.empty()) text.append(", ");
    text.append(fmt::format("{}", element));
  }
  return text;
}

}  // namespace derrd
