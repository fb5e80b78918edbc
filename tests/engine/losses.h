#pragma once

#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "engine/distill/catalogue.h"

namespace derrd::test {

/// All losses, with the options of a text such as "experts=3 gate=mean", by their names on the
/// command line.
inline std::vector<std::unique_ptr<LossFactory>> factories_with(const std::string& options) {
  std::vector<std::unique_ptr<LossFactory>> losses = loss_factories();
  std::istringstream words(options);
  for (std::string word; words >> word;) {
    const std::string name = word.substr(0, word.find('='));
    const std::string given = word.substr(name.size() + 1);
    bool found = false;
    for (const auto& loss : losses) {
      for (const LossOption& option : loss->options()) {
        if (option.name != name) continue;
        found = true;
        std::visit(
            [&](auto* target) {
              using Target = std::remove_pointer_t<decltype(target)>;
              if constexpr (std::is_same_v<Target, std::string>) {
                *target = given;
              } else {
                *target = static_cast<Target>(std::stod(given));
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
                                                                  const std::string& options,
                                                                  DistillContext context) {
  const std::vector<std::unique_ptr<LossFactory>> factories = factories_with(options);
  std::vector<std::unique_ptr<DistillationLoss>> losses;
  for (const LossFactory* factory : factories_of(method, factories)) {
    losses.push_back(factory->make(context));
  }
  return losses;
}

}  // namespace derrd::test
