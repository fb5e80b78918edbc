#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
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

}  // namespace derrd
