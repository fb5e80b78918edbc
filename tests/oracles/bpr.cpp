#include "tests/oracles/bpr.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace derrd::oracle {

BprForward bpr_forward(const BprBatch& batch) {
  BprForward result;
  for (size_t s = 0; s < batch.users.size(); ++s) {
    const double* user = batch.user_embedding.data() + batch.users[s] * batch.cols;
    const double* positive = batch.item_embedding.data() + batch.positives[s] * batch.cols;
    const double* negative = batch.item_embedding.data() + batch.negatives[s] * batch.cols;
    double x = 0;
    for (int64_t k = 0; k < batch.cols; ++k) x += user[k] * (positive[k] - negative[k]);
    // Each branch is the textbook formula where it neither overflows nor cancels.
    result.loss.push_back(x > 0 ? std::log1p(std::exp(-x)) : std::log1p(std::exp(x)) - x);
    result.coefficient.push_back(x > 0 ? -std::exp(-x) / (1 + std::exp(-x))
                                       : -1 / (1 + std::exp(x)));
  }
  return result;
}

BprGradients bpr_backward(const BprBatch& batch, const std::vector<double>& coefficient) {
  BprGradients gradients{std::vector<double>(batch.user_embedding.size()),
                         std::vector<double>(batch.item_embedding.size())};
  for (size_t s = 0; s < batch.users.size(); ++s) {
    const double c = coefficient[s];
    for (int64_t k = 0; k < batch.cols; ++k) {
      const auto user = static_cast<size_t>(batch.users[s] * batch.cols + k);
      const auto positive = static_cast<size_t>(batch.positives[s] * batch.cols + k);
      const auto negative = static_cast<size_t>(batch.negatives[s] * batch.cols + k);
      gradients.user[user] += c * (batch.item_embedding[positive] - batch.item_embedding[negative]);
      gradients.item[positive] += c * batch.user_embedding[user];
      gradients.item[negative] -= c * batch.user_embedding[user];
    }
  }
  return gradients;
}

}  // namespace derrd::oracle
