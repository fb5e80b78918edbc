#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "data/parse_number.h"

namespace derrd {

/// Accepts numbers of a type for which `fits` returns true.
/// @param range "a number above 0", for the message about other values
template <class Number, class Fits>
CLI::Validator number_check(std::string range, Fits fits) {
  return CLI::Validator(
      [range = std::move(range), fits](std::string& text) {
        const std::optional<Number> value = parse_number<Number>(text);
        return value && fits(*value) ? std::string() : text + " is not " + range;
      },
      "");
}

/// Accepts finite numbers from `bound` on; CLI11's own ranges let NaN pass.
inline CLI::Validator at_least(double bound) {
  return number_check<double>(
      fmt::format("a number of at least {:g}", bound),
      [bound](double value) { return std::isfinite(value) && value >= bound; });
}

/// Accepts finite numbers above `bound`.
inline CLI::Validator above(double bound) {
  return number_check<double>(fmt::format("a number above {:g}", bound), [bound](double value) {
    return std::isfinite(value) && value > bound;
  });
}

/// Accepts finite numbers from `low` to `high`, which may be infinite.
inline CLI::Validator within(double low, double high) {
  if (std::isinf(high)) return at_least(low);
  return number_check<double>(fmt::format("a number from {:g} to {:g}", low, high),
                              [low, high](double value) { return value >= low && value <= high; });
}

/// Accepts whole numbers from `low` to `high`; CLI11's own conversion takes a number beyond the
/// type's range for the end of that range.
template <class Whole>
CLI::Validator between(Whole low, Whole high) {
  return number_check<Whole>(fmt::format("a whole number from {} to {}", low, high),
                             [low, high](Whole value) { return value >= low && value <= high; });
}

/// Accepts a student's dimension as a part of its teacher's.
inline CLI::Validator within_size() {
  constexpr double kMax = 1000;
  return within(std::numeric_limits<float>::min(), kMax);
}

/// Accepts counts of samples, vectors or threads: from `low` to the largest number in 32 bits.
inline CLI::Validator count_from(int32_t low) {
  return between<int64_t>(low, std::numeric_limits<int32_t>::max());
}

/// Accepts every number of 64 bits.
inline CLI::Validator seed() { return between<uint64_t>(0, std::numeric_limits<uint64_t>::max()); }

/// Accepts the name of a file to write: any text that is not empty.
inline CLI::Validator file_name() {
  return CLI::Validator(
      [](std::string& text) { return text.empty() ? "needs the name of a file" : std::string(); },
      "");
}

}  // namespace derrd
