#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/sort.h"
#include "kernels/platform/views.h"

namespace derrd {

// The items from which RRD's uninteresting ones are not drawn (DE-RRD, section 4.2.1), as rows of a
// SparseRows: exclusion_sizes, exclusive_sum, exclusion_keys, then sort_segments.
// sample_uninteresting (negatives.h) draws from the others. The teacher's lists [U, R] are padded
// at the end with -1.

/// Counts the items of each list before its padding.
/// @param lengths [U]. Overwritten.
/// @throws std::invalid_argument if shapes do not fit, as all functions of this header do.
void list_lengths(Vector<int32_t> lengths, Matrix<const int32_t> lists, const Stream& stream);

/// Counts the excluded items of each user.
/// @param sizes [U + 1] observed items plus list_lengths[u], then a zero: exclusive_sum (in place)
///   makes it the offsets that exclusion_keys takes. Overwritten.
void exclusion_sizes(Vector<int64_t> sizes, SparseRows observed, Vector<const int32_t> list_lengths,
                     const Stream& stream);

/// Sort keys of the excluded items of each user: the observed ones and a prefix of the list (all of
/// it in the authors' program; down to the lowest interesting item in the paper). sort_segments
/// then leaves, in the values, the ascending rows of a SparseRows. Lists hold no observed items.
/// @param out key: segment_key of user and item, kBehindSegments from offsets[U] on; value: the
///   item, up to offsets[U]. Overwritten; at least offsets[U] pairs.
/// @param offsets [U + 1] as exclusion_sizes and exclusive_sum make them
/// @param list_lengths [U] length of the prefix to exclude, at most R
void exclusion_keys(SortBuffers out, Vector<const int64_t> offsets, SparseRows observed,
                    Matrix<const int32_t> lists, Vector<const int32_t> list_lengths,
                    const Stream& stream);

}  // namespace derrd
