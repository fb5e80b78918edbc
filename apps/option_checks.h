#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <string>

namespace derrd {

/// Option values that are finite numbers and at least (or above) `bound`; CLI11's own ranges let
/// NaN pass.
inline CLI::Validator at_least(double bound) {
  return CLI::Validator(
      [bound](std::string& text) {
        double value = 0;
        const bool fits =
            CLI::detail::lexical_cast(text, value) && std::isfinite(value) && value >= bound;
        return fits ? std::string()
                    : text + " is not a number of at least " + CLI::detail::to_string(bound);
      },
      "");
}
inline CLI::Validator above(double bound) {
  return CLI::Validator(
      [bound](std::string& text) {
        double value = 0;
        const bool fits =
            CLI::detail::lexical_cast(text, value) && std::isfinite(value) && value > bound;
        return fits ? std::string()
                    : text + " is not a number above " + CLI::detail::to_string(bound);
      },
      "");
}
/// Option values that are whole numbers from `low` to `high`.
inline CLI::Validator between(int64_t low, int64_t high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        int64_t value = 0;
        const bool fits = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
        return fits ? std::string()
                    : text + " is not a whole number from " + std::to_string(low) + " to " +
                          std::to_string(high);
      },
      "");
}

}  // namespace derrd
