#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/distill/loss_factory.h"

namespace derrd {

/// All distillation losses, with the options' default values.
std::vector<std::unique_ptr<LossFactory>> loss_factories();

/// Losses of a method, in the order of `losses`, in which they add to the gradients. A method is a
/// sum of losses, "de+rrd"; "none" is the empty one; "de-rrd" and "ir-rrd" stand for "de+rrd" and
/// "rrd+ir".
/// @throws Error that names the losses there are, if the method has another one, or one twice.
std::vector<const LossFactory*> factories_of(
    std::string_view method, const std::vector<std::unique_ptr<LossFactory>>& losses);

}  // namespace derrd
