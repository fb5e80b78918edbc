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

std::vector<double> RelaxedRankingCase::scores(int64_t user) const {
  std::vector<double> result(static_cast<size_t>(slots), 0.0);
  for (int64_t slot = 0; slot < slots; ++slot) {
    const int32_t item = samples[static_cast<size_t>(user * slots + slot)];
    for (int64_t d = 0; item >= 0 && d < cols; ++d) {
      result[static_cast<size_t>(slot)] += user_embedding[static_cast<size_t>(user * cols + d)] *
                                           item_embedding[static_cast<size_t>(item * cols + d)];
    }
  }
  return result;
}

std::vector<bool> RelaxedRankingCase::present(int64_t user) const {
  std::vector<bool> result;
  for (int64_t slot = 0; slot < slots; ++slot) {
    result.push_back(samples[static_cast<size_t>(user * slots + slot)] >= 0);
  }
  return result;
}

double RelaxedRankingCase::loss(int64_t user) const {
  return relaxed_ranking_loss(scores(user), present(user), interesting);
}

RelaxedRankingGradients relaxed_ranking_backward(const RelaxedRankingCase& c,
                                                 const std::vector<int32_t>& batch, double scale) {
  RelaxedRankingGradients grad = {std::vector<double>(c.user_embedding.size(), 0.0),
                                  std::vector<double>(c.item_embedding.size(), 0.0)};
  for (const int32_t user : batch) {
    const std::vector<double> of_score =
        relaxed_ranking_grad(c.scores(user), c.present(user), c.interesting);
    for (int64_t slot = 0; slot < c.slots; ++slot) {
      const int32_t item = c.samples[static_cast<size_t>(user * c.slots + slot)];
      const double weight = scale * of_score[static_cast<size_t>(slot)];
      for (int64_t d = 0; item >= 0 && d < c.cols; ++d) {
        const auto u = static_cast<size_t>(user * c.cols + d);
        const auto i = static_cast<size_t>(item * c.cols + d);
        grad.user[u] += weight * c.item_embedding[i];
        grad.item[i] += weight * c.user_embedding[u];
      }
    }
  }
  return grad;
}

}  // namespace derrd::oracle
