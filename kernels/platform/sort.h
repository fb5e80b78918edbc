#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// Every sort and sum throws std::invalid_argument, on every executor, if there is work but no
// scratch.

/// Keys with the values that travel along.
struct SortBuffers {
  Vector<uint64_t> keys;
  Vector<uint32_t> values;
};

/// Bytes of scratch that sort_pairs needs for n pairs.
int64_t sort_pairs_scratch_bytes(int64_t n);
/// Stable ascending sort of pairs by keys below 2^bits, from `in` to `out` (`in` may be
/// overwritten). Thrust on the CPU, CUB on the GPU.
void sort_pairs(SortBuffers out, SortBuffers in, int bits, Vector<uint8_t> scratch,
                const Stream& stream);

/// Bytes of scratch that segmented_sort_pairs needs for n pairs in `segments` segments.
int64_t segmented_sort_scratch_bytes(int64_t n, int64_t segments);
/// Stable ascending sort within each segment [offsets[s], offsets[s + 1]); `in` may be overwritten.
/// On the GPU it waits for the stream: CUB reads back how many segments are large. Not for steps.
void segmented_sort_pairs(SortBuffers out, SortBuffers in, Vector<const int64_t> offsets,
                          Vector<uint8_t> scratch, const Stream& stream);

/// Bytes of scratch that exclusive_sum needs for n values.
int64_t exclusive_sum_scratch_bytes(int64_t n);
/// out[i] = in[0] + ... + in[i - 1]. out may be in.
void exclusive_sum(Vector<int32_t> out, Vector<const int32_t> in, Vector<uint8_t> scratch,
                   const Stream& stream);
void exclusive_sum(Vector<int64_t> out, Vector<const int64_t> in, Vector<uint8_t> scratch,
                   const Stream& stream);

}  // namespace derrd
