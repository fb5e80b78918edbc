#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "data/parse_number.h"
#include "engine/distill/loss_option.h"

namespace derrd {

/// Accepts finite numbers from `low` to `high`, which may be infinite; CLI11's own ranges let NaN
/// pass. Refuses numbers that become 0 as a float, which would switch off what they ask for.
inline CLI::Validator within(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) -> std::string {
        const std::optional<double> value = parse_number<double>(text);
        if (!value || !std::isfinite(*value) || *value < low || *value > high) {
          return std::isinf(high)
                     ? fmt::format("{} is not a number of at least {:g}", text, low)
                     : fmt::format("{} is not a number from {:g} to {:g}", text, low, high);
        }
        if (*value != 0 && std::abs(*value) < kSmallestPositive) {
          return fmt::format("{} is 0 as a float; the smallest is {:g}", text, kSmallestPositive);
        }
        return "";
      },
      "");
}

/// Accepts finite numbers from `bound` on, as within() does.
inline CLI::Validator at_least(double bound) {
  return within(bound, std::numeric_limits<double>::infinity());
}

/// Accepts whole numbers from `low` to `high`; CLI11's own conversion takes a number beyond the
/// type's range for the end of that range.
template <class Whole>
CLI::Validator between(Whole low, Whole high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        const std::optional<Whole> value = parse_number<Whole>(text);
        return value && *value >= low && *value <= high
                   ? std::string()
                   : fmt::format("{} is not a whole number from {} to {}", text, low, high);
      },
      "");
}

/// Accepts a student's dimension as a part of its teacher's.
inline CLI::Validator within_size() {
  constexpr double kMax = 1000;
  return within(kSmallestPositive, kMax);
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
