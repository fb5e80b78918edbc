#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace derrd {

/// An option of a distillation loss, as a command line, a recipe and a model's metadata name it.
struct LossOption {
  std::string name;  ///< "lambda-rrd"
  std::string help;
  std::variant<double*, int64_t*, bool*, std::string*> value;  ///< its address
  double least = -std::numeric_limits<double>::infinity();     ///< smallest number allowed
  double most = std::numeric_limits<double>::infinity();       ///< largest number allowed
  std::vector<std::string> choices = {};                       ///< values allowed for a string
};

/// Values of options by name.
using OptionValues = std::map<std::string, std::variant<double, int64_t, bool, std::string>>;
/// Reads the present values of options.
OptionValues values_of(const std::vector<LossOption>& options);

/// Smallest value of an option that must be positive: it stays positive as a float.
inline constexpr double kSmallestPositive = std::numeric_limits<float>::min();

}  // namespace derrd
