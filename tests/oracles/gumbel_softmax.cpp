#include "tests/oracles/gumbel_softmax.h"

#include <algorithm>
#include <cmath>

#include "tests/oracles/initialize.h"

namespace derrd::oracle {

namespace {

constexpr double kEpsilon = 1e-10;

/// exp(x / tau) / sum of them, for each row.
std::vector<double> softmax_rows(const std::vector<double>& x, int64_t cols, double tau) {
  std::vector<double> out(x.size());
  for (size_t begin = 0; begin < x.size(); begin += cols) {
    const double top = *std::max_element(x.begin() + begin, x.begin() + begin + cols);
    double sum = 0;
    for (int64_t k = 0; k < cols; ++k) sum += std::exp((x[begin + k] - top) / tau);
    for (int64_t k = 0; k < cols; ++k) out[begin + k] = std::exp((x[begin + k] - top) / tau) / sum;
  }
  return out;
}

}  // namespace

std::vector<double> gumbel_noise(uint64_t seed, uint32_t purpose, uint32_t epoch, int64_t first_row,
                                 int64_t rows, int64_t experts) {
  std::vector<double> noise;
  const int64_t calls = (experts + 3) / 4;
  for (int64_t r = first_row; r < first_row + rows; ++r) {
    for (int64_t m = 0; m < experts; ++m) {
      const auto element = static_cast<uint64_t>(r * calls + m / 4);
      const auto bits = philox({static_cast<uint32_t>(element),
                                static_cast<uint32_t>(element >> 32), epoch, purpose << 24},
                               {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
      const double uniform = ((bits[m % 4] >> 9) + 0.5) / 8388608.0;
      noise.push_back(-std::log(-std::log(uniform)));
    }
  }
  return noise;
}

GumbelSoftmaxForward gumbel_softmax_forward(const GumbelSoftmax& gate) {
  GumbelSoftmaxForward out;
  out.probability = softmax_rows(gate.logits, gate.experts, 1);
  std::vector<double> z(gate.logits.size());
  for (size_t k = 0; k < z.size(); ++k) {
    z[k] = std::log(out.probability[k] + kEpsilon) + gate.noise[k];
  }
  out.weight = softmax_rows(z, gate.experts, gate.tau);
  return out;
}

std::vector<double> gumbel_softmax_backward(const GumbelSoftmax& gate,
                                            const std::vector<double>& grad_weight) {
  const GumbelSoftmaxForward forward = gumbel_softmax_forward(gate);
  std::vector<double> grad_logits(gate.logits.size());
  const int64_t experts = gate.experts;
  for (int64_t r = 0; r < gate.rows; ++r) {
    const double* s = &forward.weight[r * experts];
    const double* alpha = &forward.probability[r * experts];
    for (int64_t m = 0; m < experts; ++m) {
      double grad_z = 0;
      for (int64_t i = 0; i < experts; ++i) {
        grad_z += grad_weight[r * experts + i] * s[i] * ((i == m) - s[m]) / gate.tau;
      }
      const double grad_alpha = grad_z / (alpha[m] + kEpsilon);
      for (int64_t i = 0; i < experts; ++i) {
        grad_logits[r * experts + i] += grad_alpha * alpha[m] * ((i == m) - alpha[i]);
      }
    }
  }
  return grad_logits;
}

}  // namespace derrd::oracle
