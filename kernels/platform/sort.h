#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/qualifiers.h"
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
/// Bytes of host memory that sort_pairs takes for n pairs while it runs.
int64_t sort_pairs_host_bytes(int64_t n);
/// Stable ascending sort of pairs by keys below 2^bits, from `in` to `out` (`in` may be
/// overwritten). Thrust on the CPU, CUB on the GPU: Thrust's sort takes no number of bits, and keys
/// of few bits need fewer passes.
void sort_pairs(SortBuffers out, SortBuffers in, int bits, Vector<uint8_t> scratch,
                const Stream& stream);

/// Bits of the value in a segment_key.
constexpr int kSegmentValueBits = 32;
/// Key of a pair for sort_segments: by segment, then by value.
DERRD_HOST_DEVICE inline uint64_t segment_key(int64_t segment, uint32_t value) {
  return static_cast<uint64_t>(segment) << kSegmentValueBits | value;
}
/// Key behind those of all segments.
constexpr uint64_t kBehindSegments = ~uint64_t{0};

/// Bytes of scratch that sort_segments needs for n pairs.
int64_t sort_segments_scratch_bytes(int64_t n);
/// Stable ascending sort of every segment, in place: one sort of all pairs by their whole keys,
/// through Thrust on every executor.
/// @param pairs keys: segment << value_bits | value. Segments ascend already, so that each stays
///   where it is.
/// @throws std::invalid_argument if the scratch is smaller than sort_segments_scratch_bytes.
void sort_segments(SortBuffers pairs, int value_bits, Vector<uint8_t> scratch,
                   const Stream& stream);

/// Bytes of scratch that exclusive_sum needs for n values.
int64_t exclusive_sum_scratch_bytes(int64_t n);
/// out[i] = in[0] + ... + in[i - 1]. out may be in.
void exclusive_sum(Vector<int32_t> out, Vector<const int32_t> in, Vector<uint8_t> scratch,
                   const Stream& stream);
void exclusive_sum(Vector<int64_t> out, Vector<const int64_t> in, Vector<uint8_t> scratch,
                   const Stream& stream);

}  // namespace derrd
