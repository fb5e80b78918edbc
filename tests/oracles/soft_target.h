#pragma once

#include <vector>

namespace derrd::oracle {

/// sigmoid((score + t2) / t1).
double soft_target(double score, double t1, double t2);

/// The binary cross entropy of an anchor's scores against targets, over the slots that are present,
/// and its gradient.
double soft_target_loss(const std::vector<double>& scores, const std::vector<double>& targets,
                        const std::vector<bool>& present);
std::vector<double> soft_target_grad(const std::vector<double>& scores,
                                     const std::vector<double>& targets,
                                     const std::vector<bool>& present);

}  // namespace derrd::oracle
