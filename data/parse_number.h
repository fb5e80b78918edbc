#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <system_error>

namespace derrd {

/// Reads a text as a number, whatever the locale. Returns none if a part of the text is left over,
/// or if the number is beyond the type's range.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

/// Reads a text as a real number, as parse_number() does. Returns none for NaN, too.
inline std::optional<double> parse_real(std::string_view text) {
  const std::optional<double> value = parse_number<double>(text);
  return value && std::isnan(*value) ? std::nullopt : value;
}

}  // namespace derrd
