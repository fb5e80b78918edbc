#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace derrd {

/// An option of a distillation loss, as a command line, a recipe and a model's metadata name it.
struct LossOption {
  std::string name;  ///< "lambda-rrd"
  std::string help;
  /// Its address. An optional number without a value has a default that depends on other losses.
  std::variant<double*, int64_t*, bool*, std::string*, std::optional<double>*> value;
  double least = -std::numeric_limits<double>::infinity();  ///< smallest number allowed
  double most = std::numeric_limits<double>::infinity();    ///< largest number allowed
  std::vector<std::string> choices = {};                    ///< values allowed for a string
};

using OptionValue = std::variant<double, int64_t, bool, std::string>;
/// Values of options by name.
using OptionValues = std::map<std::string, OptionValue>;
/// Reads the present values of options, without those that have none.
OptionValues values_of(const std::vector<LossOption>& options);

/// Sets an option. @throws std::bad_variant_access if the value has another type.
void set_value(const LossOption& option, const OptionValue& value);

/// Smallest value of an option that must be positive: it stays positive as a float.
inline constexpr double kSmallestPositive = std::numeric_limits<float>::min();

}  // namespace derrd
