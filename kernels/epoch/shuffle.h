#pragma once

#include <cstdint>

#include "kernels/common/random_key.h"
#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sets sorted.values to a uniformly random permutation of 0 .. n - 1: the elements in the order of
/// 64 random bits each.
/// @param sorted [n], overwritten
/// @param unsorted [n], overwritten, scratch
/// @param scratch [sort_pairs_scratch_bytes(n)] at least
/// @throws std::invalid_argument if the sizes differ or exceed 32 bits.
void shuffle(SortBuffers sorted, SortBuffers unsorted, RandomKey key, Vector<uint8_t> scratch,
             const Stream& stream);

/// First step of shuffle, before a sort by the keys.
/// @param out [n] key: the first of element e's 64 random bits, at most 32, seven more than n has;
/// value: e. Overwritten.
/// @throws std::invalid_argument if keys and values differ in number or exceed 32 bits.
void shuffle_keys(SortBuffers out, RandomKey key, const Stream& stream);

/// Last step of shuffle: orders elements with equal keys by all of their 64 random bits, and those
/// that share them as they are.
/// @param sorted [n], ascending keys; the values of equal keys are reordered
/// @throws std::invalid_argument if keys and values differ in number.
void order_ties(SortBuffers sorted, RandomKey key, const Stream& stream);

/// out[i] = in[order[i] / repeats]: gathers from `in` as if each element stood there `repeats`
/// times. A view.
struct Gathering {
  Vector<int32_t> out;           ///< [n], overwritten
  Vector<const int32_t> in;      ///< [max(order) / repeats + 1] at least
  Vector<const uint32_t> order;  ///< [n]
  int64_t repeats = 1;
};
/// Gathers for all calls.
/// @throws std::invalid_argument if out and order differ in size, or repeats is not positive.
void gather_values(const CallList<Gathering>& calls, const Stream& stream);

}  // namespace derrd
