#include "tests/oracles/soft_target.h"

#include <cmath>

namespace derrd::oracle {

namespace {

/// -log sigmoid(x).
double minus_log_sigmoid(double x) {
  return x > 0 ? std::log1p(std::exp(-x)) : -x + std::log1p(std::exp(x));
}

}  // namespace

double soft_target(double score, double t1, double t2) {
  return 1 / (1 + std::exp(-(score + t2) / t1));
}

double soft_target_loss(const std::vector<double>& scores, const std::vector<double>& targets,
                        const std::vector<bool>& present) {
  double loss = 0;
  for (size_t j = 0; j < scores.size(); ++j) {
    if (!present[j]) continue;
    loss += targets[j] * minus_log_sigmoid(scores[j]);
    loss += (1 - targets[j]) * minus_log_sigmoid(-scores[j]);
  }
  return loss;
}

std::vector<double> soft_target_grad(const std::vector<double>& scores,
                                     const std::vector<double>& targets,
                                     const std::vector<bool>& present) {
  std::vector<double> grad(scores.size(), 0.0);
  for (size_t j = 0; j < scores.size(); ++j) {
    if (present[j]) grad[j] = 1 / (1 + std::exp(-scores[j])) - targets[j];
  }
  return grad;
}

}  // namespace derrd::oracle
