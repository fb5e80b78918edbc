#include "tests/oracles/experts.h"

#include <cmath>

namespace derrd::oracle {

namespace {

/// relu(W1_m h_n + b1_m)
std::vector<double> hidden_layer(const Mixture& x, int64_t n, int64_t m) {
  std::vector<double> a(x.hidden);
  for (int64_t j = 0; j < x.hidden; ++j) {
    double sum = x.bias1[m * x.hidden + j];
    for (int64_t d = 0; d < x.student_dim; ++d) {
      sum += x.weight1[(m * x.hidden + j) * x.student_dim + d] * x.student[n * x.student_dim + d];
    }
    a[j] = sum > 0 ? sum : 0;
  }
  return a;
}

/// E_m(h_n), from its hidden layer.
std::vector<double> expert_output(const Mixture& x, int64_t m, const std::vector<double>& a) {
  std::vector<double> y(x.teacher_dim);
  for (int64_t t = 0; t < x.teacher_dim; ++t) {
    y[t] = x.bias2[m * x.teacher_dim + t];
    for (int64_t j = 0; j < x.hidden; ++j) {
      y[t] += a[j] * x.weight2[(m * x.hidden + j) * x.teacher_dim + t];
    }
  }
  return y;
}

}  // namespace

MixtureForward mixture_forward(const Mixture& x) {
  MixtureForward out;
  for (int64_t n = 0; n < x.rows; ++n) {
    std::vector<double> r(x.teacher_dim);
    for (int64_t m = 0; m < x.experts; ++m) {
      const double s = x.selection[n * x.experts + m];
      if (s == 0) continue;
      const std::vector<double> y = expert_output(x, m, hidden_layer(x, n, m));
      for (int64_t t = 0; t < x.teacher_dim; ++t) r[t] += s * y[t];
    }
    double squares = 0;
    for (int64_t t = 0; t < x.teacher_dim; ++t) {
      squares += std::pow(r[t] - x.teacher[n * x.teacher_dim + t], 2);
    }
    out.loss.push_back(x.loss_weight * (x.euclidean ? std::sqrt(squares) : squares));
    out.reconstruction.insert(out.reconstruction.end(), r.begin(), r.end());
  }
  return out;
}

MixtureGradients mixture_backward(const Mixture& x) {
  const MixtureForward forward = mixture_forward(x);
  MixtureGradients grad = {
      std::vector<double>(x.student.size()), std::vector<double>(x.selection.size()),
      std::vector<double>(x.weight1.size()), std::vector<double>(x.bias1.size()),
      std::vector<double>(x.weight2.size()), std::vector<double>(x.bias2.size())};
  for (int64_t n = 0; n < x.rows; ++n) {
    std::vector<double> q(x.teacher_dim);
    for (int64_t t = 0; t < x.teacher_dim; ++t) {
      const double error =
          forward.reconstruction[n * x.teacher_dim + t] - x.teacher[n * x.teacher_dim + t];
      const double distance = forward.loss[n] / x.loss_weight;
      const double slope = x.euclidean ? (distance == 0 ? 0 : 1 / distance) : 2;
      q[t] = x.loss_weight * slope * error;
    }
    for (int64_t m = 0; m < x.experts; ++m) {
      const double s = x.selection[n * x.experts + m];
      if (s == 0) continue;
      const std::vector<double> a = hidden_layer(x, n, m);
      const std::vector<double> y = expert_output(x, m, a);
      for (int64_t t = 0; t < x.teacher_dim; ++t) {
        grad.selection[n * x.experts + m] += q[t] * y[t];
        grad.bias2[m * x.teacher_dim + t] += s * q[t];
      }
      for (int64_t j = 0; j < x.hidden; ++j) {
        const int64_t unit = m * x.hidden + j;
        double g = 0;
        for (int64_t t = 0; t < x.teacher_dim; ++t) {
          grad.weight2[unit * x.teacher_dim + t] += s * a[j] * q[t];
          g += s * q[t] * x.weight2[unit * x.teacher_dim + t];
        }
        if (a[j] <= 0) continue;
        grad.bias1[unit] += g;
        for (int64_t d = 0; d < x.student_dim; ++d) {
          grad.weight1[unit * x.student_dim + d] += g * x.student[n * x.student_dim + d];
          grad.student[n * x.student_dim + d] += g * x.weight1[unit * x.student_dim + d];
        }
      }
    }
  }
  return grad;
}

}  // namespace derrd::oracle
