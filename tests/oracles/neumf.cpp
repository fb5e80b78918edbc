#include "tests/oracles/neumf.h"

#include <algorithm>
#include <cmath>

namespace derrd::oracle {

namespace {

std::vector<int64_t> widths(const Neumf& m) {
  std::vector<int64_t> all = {m.dim};
  while (static_cast<int64_t>(all.size()) < m.layers) all.push_back(all.back() / 2);
  return all;
}

}  // namespace

int64_t Neumf::joint_dim() const { return dim + widths(*this).back(); }

int64_t Neumf::count() const {
  const std::vector<int64_t> h = widths(*this);
  int64_t total = 2 * (users + items) * dim + h[0] * (2 * dim + 1);
  for (size_t l = 1; l < h.size(); ++l) total += h[l] * (h[l - 1] + 1);
  return total + joint_dim() + 1;
}

std::vector<double> Neumf::joint(int64_t user, int64_t item) const {
  const std::vector<int64_t> h = widths(*this);
  const double* user_gmf = parameters.data();
  const double* user_mlp = user_gmf + users * dim;
  const double* user_weight = user_mlp + users * dim;
  const double* item_gmf = user_weight + h[0] * dim;
  const double* item_mlp = item_gmf + items * dim;
  const double* item_weight = item_mlp + items * dim;
  const double* next = item_weight + h[0] * dim;

  std::vector<double> hidden;
  for (int64_t k = 0; k < h[0]; ++k) {
    double z = next[k];
    for (int64_t d = 0; d < dim; ++d) {
      z += user_weight[k * dim + d] * user_mlp[user * dim + d] +
           item_weight[k * dim + d] * item_mlp[item * dim + d];
    }
    hidden.push_back(std::max(z, 0.0));
  }
  next += h[0];
  for (size_t l = 1; l < h.size(); ++l) {
    const double* bias = next + h[l] * h[l - 1];
    std::vector<double> out;
    for (int64_t k = 0; k < h[l]; ++k) {
      double z = bias[k];
      for (int64_t d = 0; d < h[l - 1]; ++d) {
        z += next[k * h[l - 1] + d] * hidden[static_cast<size_t>(d)];
      }
      out.push_back(std::max(z, 0.0));
    }
    hidden = out;
    next = bias + h[l];
  }

  std::vector<double> x;
  for (int64_t d = 0; d < dim; ++d) {
    x.push_back(user_gmf[user * dim + d] * item_gmf[item * dim + d]);
  }
  x.insert(x.end(), hidden.begin(), hidden.end());
  return x;
}

double Neumf::score(int64_t user, int64_t item) const {
  const std::vector<double> x = joint(user, item);
  const double* weight = parameters.data() + count() - joint_dim() - 1;
  double sum = parameters.back();
  for (size_t k = 0; k < x.size(); ++k) sum += weight[k] * x[k];
  return sum;
}

double binary_cross_entropy(double score, double target) {
  const auto minus_log_sigmoid = [](double x) {
    return x > 0 ? std::log1p(std::exp(-x)) : std::log1p(std::exp(x)) - x;
  };
  double loss = 0;
  if (target != 0) loss += target * minus_log_sigmoid(score);
  if (target != 1) loss += (1 - target) * minus_log_sigmoid(-score);
  return loss;
}

}  // namespace derrd::oracle
