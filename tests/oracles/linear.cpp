#include "tests/oracles/linear.h"

namespace derrd::oracle {

std::vector<double> linear_forward(const Linear& layer) {
  std::vector<double> out;
  for (int64_t r = 0; r < layer.rows; ++r) {
    for (int64_t o = 0; o < layer.outputs; ++o) {
      double sum = layer.bias[o];
      for (int64_t i = 0; i < layer.inputs; ++i) {
        sum += layer.in[r * layer.inputs + i] * layer.weight[o * layer.inputs + i];
      }
      out.push_back(layer.relu && sum < 0 ? 0 : sum);
    }
  }
  return out;
}

LinearGradients linear_backward(const Linear& layer, const std::vector<double>& grad_out) {
  const std::vector<double> out = linear_forward(layer);
  LinearGradients grad = {std::vector<double>(layer.in.size()),
                          std::vector<double>(layer.weight.size()),
                          std::vector<double>(layer.bias.size())};
  for (int64_t r = 0; r < layer.rows; ++r) {
    for (int64_t o = 0; o < layer.outputs; ++o) {
      if (layer.relu && out[r * layer.outputs + o] <= 0) continue;
      const double g = grad_out[r * layer.outputs + o];
      grad.bias[o] += g;
      for (int64_t i = 0; i < layer.inputs; ++i) {
        grad.weight[o * layer.inputs + i] += g * layer.in[r * layer.inputs + i];
        grad.in[r * layer.inputs + i] += g * layer.weight[o * layer.inputs + i];
      }
    }
  }
  return grad;
}

}  // namespace derrd::oracle
