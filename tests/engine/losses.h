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
#include "engine/loss_sums.h"
#include "kernels/platform/memory.h"
#include "kernels/update/end_step.h"
#include "tests/stream.h"

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

/// Ends a step, of which only the losses matter, and returns their sums.
inline std::vector<double> sums_of_step(LossSums& losses) {
  const DeviceArray<int64_t> steps(std::vector<int64_t>{0}, stream());
  const DeviceArray<AdamCorrections> corrections(1);
  end_step(losses.take_terms(), {}, {steps.data(), corrections.view()}, {}, stream());
  return losses.to_host(stream());
}

}  // namespace derrd::test
