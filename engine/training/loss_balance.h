#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/distill/loss.h"

namespace derrd {

/// Options for choosing the losses' weights by the losses' sizes (Section 5.4).
struct BalanceOptions {
  /// Size of each weighted distillation loss as a part of the base loss; 0: its weight stays.
  /// Empty: all weights stay.
  std::vector<double> shares;
  /// Epochs after which the weights are chosen, once.
  int epochs = 3;
};

/// Gives each loss with a share the weight that would have given it this share in the last epoch.
/// @param losses may get other weights
/// @param sums unweighted losses of the last epoch: the base loss, then each of `losses`
/// @param epochs number of epochs that have ended; nothing happens unless it is options.epochs
/// @return the chosen weights, by the loss's name
/// @throws Error if a loss is not positive: no weight makes it a part of the base loss.
std::vector<std::pair<std::string, double>> balance_losses(
    const std::vector<std::unique_ptr<DistillationLoss>>& losses, std::span<const double> sums,
    const BalanceOptions& options, int epochs);

}  // namespace derrd
