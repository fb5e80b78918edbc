#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sort keys of a uniformly random permutation: sort_pairs by all 64 bits leaves it in the values.
/// @param out [n] key: 64 random bits of element e; value: e. Overwritten.
/// @throws std::invalid_argument if keys and values differ in number or exceed 32 bits.
void shuffle_keys(SortBuffers out, RandomKey key, const Stream& stream);

/// out[i] = in[order[i] / repeats]: gathers from `in` as if each element stood there `repeats`
/// times.
/// @param out [n], overwritten
/// @param in at least max(order) / repeats + 1 elements
/// @param order [n]
/// @throws std::invalid_argument if out and order differ in size, or repeats is not positive.
void gather_values(Vector<int32_t> out, Vector<const int32_t> in, Vector<const uint32_t> order,
                   int64_t repeats, const Stream& stream);

}  // namespace derrd
