#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

struct AdamState {
  std::vector<double> parameters, first_moment, second_moment;
};

/// Update number `step` (from 1) of Adam as its authors print it (Kingma and Ba, ICLR'15,
/// algorithm 1), the L2 term added to the gradient.
void adam_update(AdamState& state, const std::vector<double>& gradient, int64_t step,
                 double learning_rate, double beta1, double beta2, double epsilon,
                 double weight_decay);

}  // namespace derrd::oracle
