#pragma once

#include <charconv>
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

}  // namespace derrd
