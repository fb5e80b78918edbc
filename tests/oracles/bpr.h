#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// A batch of samples with the embeddings they index, all of them plain.
struct BprBatch {
  std::vector<double> user_embedding;  ///< [U, cols]
  std::vector<double> item_embedding;  ///< [I, cols]
  int64_t cols;
  std::vector<int32_t> users, positives, negatives;  ///< [B]
};

struct BprForward {
  std::vector<double> loss, coefficient;  ///< [B]
};
BprForward bpr_forward(const BprBatch& batch);

struct BprGradients {
  std::vector<double> user, item;  ///< [U, cols], [I, cols]
};
BprGradients bpr_backward(const BprBatch& batch, const std::vector<double>& coefficient);

}  // namespace derrd::oracle
