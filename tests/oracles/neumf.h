#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// NeuMF as its paper prints it (He et al., WWW'17): a perceptron on [user; item], layer by layer,
/// beside the product, one pair at a time.
struct Neumf {
  int64_t users = 0, items = 0, dim = 0, layers = 1;
  /// user_gmf, user_mlp, the users' half of the first layer [H, D], the same for items, the first
  /// bias; weight and bias of each further layer; the output's weight and bias.
  std::vector<double> parameters;

  int64_t count() const;  ///< number of the parameters
  int64_t joint_dim() const;
  /// [product; last hidden layer]
  std::vector<double> joint(int64_t user, int64_t item) const;
  double score(int64_t user, int64_t item) const;
};

/// Binary cross entropy of a score with a target.
double binary_cross_entropy(double score, double target);

}  // namespace derrd::oracle
