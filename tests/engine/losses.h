#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "engine/distill/catalogue.h"

namespace derrd::test {

/// Options of losses by their names on the command line.
using LossOptions = std::vector<std::pair<std::string, std::variant<double, std::string>>>;

/// All losses, with these options.
inline std::vector<std::unique_ptr<LossFactory>> factories_with(const LossOptions& options) {
  std::vector<std::unique_ptr<LossFactory>> losses = loss_factories();
  for (const auto& [name, value] : options) {
    bool found = false;
    for (const auto& loss : losses) {
      for (const LossOption& option : loss->options()) {
        if (option.name != name) continue;
        found = true;
        std::visit(
            [&, &given = value](auto* target) {
              using Target = std::remove_pointer_t<decltype(target)>;
              if constexpr (std::is_same_v<Target, std::string>) {
                *target = std::get<std::string>(given);
              } else {
                *target = static_cast<Target>(std::get<double>(given));
              }
            },
            option.value);
      }
    }
    if (!found) throw std::invalid_argument("no loss has the option " + name);
  }
  return losses;
}

/// The losses of a method.
inline std::vector<std::unique_ptr<DistillationLoss>> make_losses(std::string_view method,
                                                                  const LossOptions& options,
                                                                  DistillContext context) {
  const std::vector<std::unique_ptr<LossFactory>> factories = factories_with(options);
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  for (const LossFactory* factory : factories_of(method, factories)) {
    losses.push_back(factory->make(context));
  }
  return losses;
}

}  // namespace derrd::test
