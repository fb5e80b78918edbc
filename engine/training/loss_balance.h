#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/distill/loss.h"

namespace derrd {

/// How weights of losses are chosen from what the losses come to (Section 5.4).
struct BalanceOptions {
  /// For each distillation loss the part of the base loss that its weighted loss shall be; 0: its
  /// weight stays. Empty: all stay.
  std::vector<double> shares;
  /// Epochs after which the weights are chosen, once.
  int epochs = 3;
};

/// Gives each loss with a share the weight that would have given it this share in the last epoch.
/// @param losses that may get another weight
/// @param sums of the last epoch, unweighted: the base loss, then each of `losses`
/// @param epochs that have ended; nothing happens unless they are options.epochs
/// @return the chosen weights, by the loss's name
/// @throws Error if a loss is not positive: no weight makes it a part of the base loss.
std::vector<std::pair<std::string, double>> balance_losses(
    const std::vector<std::unique_ptr<DistillationLoss>>& losses, std::span<const double> sums,
    const BalanceOptions& options, int epochs);

}  // namespace derrd
