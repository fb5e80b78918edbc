#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/distill/loss_factory.h"

namespace derrd {

/// Makes the factories of all distillation losses, with default values of their options.
std::vector<std::unique_ptr<LossFactory>> loss_factories();

/// Finds the losses of a method. They stand in the order of `losses`, in which they add to the
/// gradients. A method is a sum of losses such as "de+rrd", or "none" for no loss; "de-rrd" and
/// "ir-rrd" stand for "de+rrd" and "rrd+ir". Tells each loss of the sum which others are in it.
/// @throws Error if the method has an unknown loss, or a loss twice.
std::vector<const LossFactory*> factories_of(
    std::string_view method, const std::vector<std::unique_ptr<LossFactory>>& losses);

}  // namespace derrd
