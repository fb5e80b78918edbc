#pragma once

#include "kernels/distill/experts.h"

namespace derrd {

/// Path kRouted of experts_forward and experts_backward (experts.h), which check the shapes.
void routed_experts_forward(Matrix<float> reconstruction, const ExpertsCall& call,
                            const Stream& stream);
void routed_experts_backward(const ExpertsGradients& gradients,
                             Matrix<const float> grad_reconstruction, const ExpertsCall& call,
                             const Stream& stream);

}  // namespace derrd
