#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// A linear layer on plain arrays; only the active rows are in them.
struct Linear {
  int64_t rows, inputs, outputs;
  std::vector<double> in;      ///< [rows, inputs]
  std::vector<double> weight;  ///< [outputs, inputs]
  std::vector<double> bias;    ///< [outputs]
  bool relu = false;
};

/// [rows, outputs]
std::vector<double> linear_forward(const Linear& layer);

struct LinearGradients {
  std::vector<double> in, weight, bias;
};
LinearGradients linear_backward(const Linear& layer, const std::vector<double>& grad_out);

}  // namespace derrd::oracle
