#pragma once

#include <fmt/format.h>

#include <string>

namespace derrd {

/// Elements of a range as text, with ", " between them.
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
