#pragma once

#include <fmt/format.h>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <optional>
#include <string>

namespace derrd {

/// A number, text or truth value as an option takes it on the command line; none of other values.
inline std::optional<std::string> option_value(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return fmt::format("{}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return fmt::format("{}", truth->get());
  return std::nullopt;
}

inline int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

}  // namespace derrd
