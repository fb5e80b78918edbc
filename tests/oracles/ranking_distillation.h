#pragma once

#include <cstdint>
#include <vector>

namespace derrd::oracle {

/// Weighting of the first `top` slots in Ranking Distillation.
struct RankingDistillation {
  int64_t top = 0;
  double sharpness = 1;
  double tolerance = 0.1;
  int64_t items = 0;
  bool dynamic = false;
  bool renormalised = false;
};

/// The weights of an anchor's first `top` slots, from its scores in the order of the slots; slots
/// that are not present weigh nothing and count for nothing.
std::vector<double> ranking_distillation_weights(const RankingDistillation& options,
                                                 const std::vector<double>& scores,
                                                 const std::vector<bool>& present);

/// The loss for given weights, and its gradient: by slot, 0 from the weights' end on.
double ranking_distillation_loss(const std::vector<double>& weights,
                                 const std::vector<double>& scores);
std::vector<double> ranking_distillation_grad(const std::vector<double>& weights,
                                              const std::vector<double>& scores);

}  // namespace derrd::oracle
