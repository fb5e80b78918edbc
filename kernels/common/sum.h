#pragma once

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Adds the sum of the terms to *total, added in double and in a fixed order: the same input gives
/// the same bits. NaN and infinity come through. For a batch's losses; one block does it.
/// @param total device memory, accumulated
/// @param terms [n]
void accumulate_sum(double* total, Vector<const float> terms, const Stream& stream);

}  // namespace derrd
