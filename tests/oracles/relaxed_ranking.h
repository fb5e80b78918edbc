#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// A user's Relaxed Ranking loss (DE-RRD, equations 9 and 10) of scores in the order of the slots,
/// the first `interesting` of them interesting, and its gradient; slots that are not present take
/// no part. Every z_k is a log-sum-exp of its own terms.
double relaxed_ranking_loss(const std::vector<double>& scores, const std::vector<bool>& present,
                            int64_t interesting);
std::vector<double> relaxed_ranking_grad(const std::vector<double>& scores,
                                         const std::vector<bool>& present, int64_t interesting);

/// Embeddings and samples as the kernels take them, row-major.
struct RelaxedRankingCase {
  int64_t users = 0, items = 0, cols = 0, interesting = 0, slots = 0;
  std::vector<double> user_embedding, item_embedding;  // [U, D], [I, D]
  std::vector<int32_t> samples;                        // [U, K + L]

  std::vector<double> scores(int64_t user) const;
  std::vector<bool> present(int64_t user) const;
  double loss(int64_t user) const;
};

/// Gradients of scale * (the sum of the batch's losses), added up slot by slot.
struct RelaxedRankingGradients {
  std::vector<double> user, item;  // [U, D], [I, D]
};
RelaxedRankingGradients relaxed_ranking_backward(const RelaxedRankingCase& c,
                                                 const std::vector<int32_t>& batch, double scale);

}  // namespace derrd::oracle
