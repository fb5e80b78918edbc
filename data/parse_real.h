#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace derrd {

/// Number that the whole text is; nothing for other text and NaN.
inline std::optional<double> parse_real(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) {
    return std::nullopt;
  }
  return value;
}

}  // namespace derrd
