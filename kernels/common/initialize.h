#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// Random start values. Value i depends on (key, first_element + i) alone, so that a tensor filled
// in pieces is the tensor filled at once, and parameters that share a key take disjoint ranges of
// elements. Every backend draws the same integers; values may differ in the last bits of log and
// cos.

/// Draws values[i] ~ N(0, standard_deviation^2), overwritten.
void initialize_normal(Vector<float> values, float standard_deviation, RandomKey key,
                       uint64_t first_element, const Stream& stream);

/// Draws values[i] uniform on the open interval (-bound, bound), overwritten.
void initialize_uniform(Vector<float> values, float bound, RandomKey key, uint64_t first_element,
                        const Stream& stream);

}  // namespace derrd
