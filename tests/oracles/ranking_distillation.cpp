#include "tests/oracles/ranking_distillation.h"

#include <algorithm>
#include <cmath>

namespace derrd::oracle {

std::vector<double> ranking_distillation_weights(const RankingDistillation& options,
                                                 const std::vector<double>& scores,
                                                 const std::vector<bool>& present) {
  const auto top = static_cast<size_t>(options.top);
  std::vector<double> weights(top);
  double sum = 0;
  for (size_t k = 0; k < top; ++k) {
    // Relative to the first position's weight, so that a small sharpness leaves it 1.
    sum += weights[k] = std::exp(-static_cast<double>(k) / options.sharpness);
  }
  for (double& w : weights) w /= sum;
  for (size_t k = 0; k < top; ++k) {
    if (!present[k]) weights[k] = 0;
    if (!options.dynamic) continue;
    int64_t negatives = 0, above = 0;
    for (size_t j = top; j < scores.size(); ++j) {
      if (!present[j]) continue;
      ++negatives;
      if (scores[j] > scores[k]) ++above;
    }
    int64_t rank = 0;
    while (negatives > 0 && (rank + 1) * negatives <= (options.items - 1) * above) ++rank;
    weights[k] *= std::max(
        0.0, std::tanh(options.tolerance * static_cast<double>(rank - static_cast<int64_t>(k))));
  }
  sum = 0;
  for (const double w : weights) sum += w;
  for (double& w : weights) w /= options.renormalised && sum > 0 ? sum : 1;
  return weights;
}

double ranking_distillation_loss(const std::vector<double>& weights,
                                 const std::vector<double>& scores) {
  double loss = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] > 0) {
      loss += weights[k] * (std::max(-scores[k], 0.0) + std::log1p(std::exp(-std::abs(scores[k]))));
    }
  }
  return loss;
}

std::vector<double> ranking_distillation_grad(const std::vector<double>& weights,
                                              const std::vector<double>& scores) {
  std::vector<double> grad(scores.size(), 0.0);
  for (size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] > 0) grad[k] = -weights[k] / (1 + std::exp(scores[k]));
  }
  return grad;
}

}  // namespace derrd::oracle
