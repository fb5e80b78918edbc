#include "engine/training/loss_balance.h"

#include <fmt/format.h>

#include "data/error.h"

namespace derrd {

std::vector<std::pair<std::string, double>> balance_losses(
    const std::vector<std::unique_ptr<DistillationLoss>>& losses, std::span<const double> sums,
    const BalanceOptions& options, int epochs) {
  std::vector<std::pair<std::string, double>> chosen;
  if (epochs != options.epochs) return chosen;
  for (size_t i = 0; i < options.shares.size(); ++i) {
    if (options.shares[i] == 0) continue;
    DistillationLoss& loss = *losses[i];
    const double sum = sums[i + 1];
    if (!(sum > 0)) {
      throw Error(
          fmt::format("the loss {} is {} after {} epochs: no weight makes it a part of the "
                      "base loss; give its weight yourself",
                      loss.name(), sum, epochs));
    }
    loss.set_weight(options.shares[i] * sums[0] / sum);
    chosen.emplace_back(loss.name(), loss.weight());
  }
  return chosen;
}

}  // namespace derrd
