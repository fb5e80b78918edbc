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

}  // namespace derrd::oracle
