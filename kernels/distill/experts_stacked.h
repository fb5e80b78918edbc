#pragma once

#include "kernels/distill/experts.h"

namespace derrd {

/// Path kStacked of experts_forward and experts_backward (experts.h), which check the shapes. There
/// is a call at least, and none is empty.
void stacked_experts_forward(const CallList<ExpertsForward>& calls, const Stream& stream);
void stacked_experts_backward(const CallList<ExpertsBackward>& calls, const Stream& stream);

}  // namespace derrd
