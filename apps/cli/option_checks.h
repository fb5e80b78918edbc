#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
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
/// Finite numbers from `least` to `most`.
inline CLI::Validator within(double least, double most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
        if (number && value >= least && value <= most) return std::string();
        const bool bounded = std::isfinite(most);
        return text + " is not a number " + (bounded ? "from " : "of at least ") +
               CLI::detail::to_string(least) +
               (bounded ? " to " + CLI::detail::to_string(most) : std::string());
      },
      "");
}
/// Option values that are whole numbers from `low` to `high`; CLI11's own conversion takes what is
/// beyond the type's range for its end.
template <class Whole>
CLI::Validator between(Whole low, Whole high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        Whole value{};
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        const bool fits = error == std::errc() && stop == end && value >= low && value <= high;
        return fits ? std::string()
                    : text + " is not a whole number from " + std::to_string(low) + " to " +
                          std::to_string(high);
      },
      "");
}

/// A student's size as a part of its teacher's.
inline CLI::Validator within_size() {
  constexpr double kMost = 1000;
  return within(std::numeric_limits<float>::min(), kMost);
}

/// A count of samples, vectors or threads: from `low` to what 32 bits hold.
inline CLI::Validator count_from(int32_t low) {
  return between<int64_t>(low, std::numeric_limits<int32_t>::max());
}
inline CLI::Validator seed() { return between<uint64_t>(0, std::numeric_limits<uint64_t>::max()); }
/// The name of a file to write.
inline CLI::Validator file_name() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? "needs the name of a file" : std::string(); },
      "");
}

}  // namespace derrd
