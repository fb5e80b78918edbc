#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// Gumbel noise of rows first_row .. first_row + rows - 1, [rows, experts].
std::vector<double> gumbel_noise(uint64_t seed, uint32_t purpose, uint32_t epoch, int64_t first_row,
                                 int64_t rows, int64_t experts);

struct GumbelSoftmax {
  int64_t rows, experts;
  std::vector<double> logits, noise;  ///< [rows, experts]
  double tau;
};
struct GumbelSoftmaxForward {
  std::vector<double> probability, weight;  ///< alpha, s; no weight is dropped
};
GumbelSoftmaxForward gumbel_softmax_forward(const GumbelSoftmax& gate);

/// dL/dlogits, from the Jacobians of the two softmaxes written out.
std::vector<double> gumbel_softmax_backward(const GumbelSoftmax& gate,
                                            const std::vector<double>& grad_weight);

}  // namespace derrd::oracle
