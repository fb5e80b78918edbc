#include "tests/oracles/relaxed_ranking.h"

#include <algorithm>
#include <cmath>

namespace derrd::oracle {

namespace {

/// z_k: the logarithm of the sum of e^score over the present slots from k on.
double log_sum_exp_from(const std::vector<double>& scores, const std::vector<bool>& present,
                        size_t k) {
  double maximum = -INFINITY;
  for (size_t i = k; i < scores.size(); ++i) {
    if (present[i]) maximum = std::max(maximum, scores[i]);
  }
  double sum = 0;
  for (size_t i = k; i < scores.size(); ++i) {
    if (present[i]) sum += std::exp(scores[i] - maximum);
  }
  return maximum + std::log(sum);
}

}  // namespace

double relaxed_ranking_loss(const std::vector<double>& scores, const std::vector<bool>& present,
                            int64_t interesting) {
  double loss = 0;
  for (size_t k = 0; k < static_cast<size_t>(interesting); ++k) {
    if (present[k]) loss += log_sum_exp_from(scores, present, k) - scores[k];
  }
  return loss;
}

std::vector<double> relaxed_ranking_grad(const std::vector<double>& scores,
                                         const std::vector<bool>& present, int64_t interesting) {
  std::vector<double> grad(scores.size(), 0.0);
  for (size_t k = 0; k < static_cast<size_t>(interesting); ++k) {
    if (!present[k]) continue;
    const double z = log_sum_exp_from(scores, present, k);
    for (size_t i = k; i < scores.size(); ++i) {
      if (present[i]) grad[i] += std::exp(scores[i] - z);
    }
    grad[k] -= 1;
  }
  return grad;
}

}  // namespace derrd::oracle
