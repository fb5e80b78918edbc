#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// A mixture of experts with its inputs on plain arrays; only the active rows are in them.
struct Mixture {
  int64_t rows, experts, student_dim, hidden, teacher_dim;
  std::vector<double> student;    ///< [rows, D]
  std::vector<double> teacher;    ///< [rows, T]
  std::vector<double> selection;  ///< [rows, E]
  std::vector<double> weight1;    ///< [E, H, D]
  std::vector<double> bias1;      ///< [E, H]
  std::vector<double> weight2;    ///< [E, H, T]
  std::vector<double> bias2;      ///< [E, T]
  bool euclidean = false;
  double loss_weight = 1;
};

struct MixtureForward {
  std::vector<double> reconstruction;  ///< [rows, T]
  std::vector<double> loss;            ///< [rows]
};
/// Computes expert by expert, entity by entity.
MixtureForward mixture_forward(const Mixture& mixture);

struct MixtureGradients {
  std::vector<double> student, selection, weight1, bias1, weight2, bias2;
};
/// Gradients of the sum of the losses; weights that are 0 have gradients 0, as the kernels define.
MixtureGradients mixture_backward(const Mixture& mixture);

}  // namespace derrd::oracle
