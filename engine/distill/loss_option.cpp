#include "engine/distill/loss_option.h"

#include <type_traits>

namespace derrd {

namespace {

template <class Value>
constexpr bool kIsOptional = std::is_same_v<Value, std::optional<double>>;

}  // namespace

OptionValues values_of(const std::vector<LossOption>& options) {
  OptionValues values;
  for (const LossOption& option : options) {
    std::visit(
        [&]<class Value>(const Value* value) {
          if constexpr (!kIsOptional<Value>) {
            values[option.name] = *value;
          } else if (*value) {
            values[option.name] = **value;
          }
        },
        option.value);
  }
  return values;
}

void set_value(const LossOption& option, const OptionValue& value) {
  std::visit(
      [&]<class Value>(Value* to) {
        *to = std::get<std::conditional_t<kIsOptional<Value>, double, Value>>(value);
      },
      option.value);
}

}  // namespace derrd
