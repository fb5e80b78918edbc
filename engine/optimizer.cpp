#include "engine/optimizer.h"

namespace derrd {

Optimizer::Optimizer(const Parameters& parameters, AdamOptions options, const Stream& stream)
    : parameters_(parameters), options_(options), step_(1) {
  set_steps(0, stream);
}

void Optimizer::step(const Stream& stream) {
  adam_advance(step_.data(), options_, stream);
  adam_update(parameters_.values(), parameters_.first_moments(), parameters_.second_moments(),
              parameters_.gradients(), options_, step_.data(), stream);
}

int64_t Optimizer::steps(const Stream& stream) const { return step_.to_host(stream)[0].step; }

void Optimizer::set_steps(int64_t steps, const Stream& stream) {
  AdamStep step{};
  step.step = steps;  // the corrections follow from it at the next adam_advance
  copy_to_device(step_.data(), &step, sizeof(step), stream);
}

}  // namespace derrd
