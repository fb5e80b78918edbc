#include "engine/distill/loss_option.h"

namespace derrd {

OptionValues values_of(const std::vector<LossOption>& options) {
  OptionValues values;
  for (const LossOption& option : options) {
    std::visit([&](const auto* value) { values[option.name] = *value; }, option.value);
  }
  return values;
}

}  // namespace derrd
