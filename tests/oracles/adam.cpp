#include "tests/oracles/adam.h"

#include <cmath>
#include <cstddef>

namespace derrd::oracle {

void adam_update(AdamState& state, const std::vector<double>& gradient, int64_t step,
                 double learning_rate, double beta1, double beta2, double epsilon,
                 double weight_decay) {
  for (size_t i = 0; i < gradient.size(); ++i) {
    double& parameter = state.parameters[i];
    double& m = state.first_moment[i];
    double& v = state.second_moment[i];
    const double g = gradient[i] + weight_decay * parameter;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double unbiased_m = m / (1 - std::pow(beta1, step));
    const double unbiased_v = v / (1 - std::pow(beta2, step));
    parameter -= learning_rate * unbiased_m / (std::sqrt(unbiased_v) + epsilon);
  }
}

}  // namespace derrd::oracle
