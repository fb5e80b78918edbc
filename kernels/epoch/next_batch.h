#pragma once

// The cursors' way from a batch to the next one, for the kernels that move them. Only .cu files
// include it.

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/execution.h"

namespace derrd {

__device__ __forceinline__ void move_cursor(const SegmentCursor& list, int64_t number) {
  if (list.cursor == nullptr) return;
  const int32_t begin = list.batch_offsets[number];
  *list.cursor = {static_cast<int32_t>(number), begin, list.batch_offsets[number + 1] - begin};
}

/// Moves all cursors to the next batch, from the last one to the first. One thread does it.
__device__ __forceinline__ void next_batch(const BatchCursors& cursors) {
  const SampleCursor& samples = cursors.samples;
  const int64_t next = samples.cursor->number + 1;
  const int64_t number = next * samples.batch_size < samples.n ? next : 0;
  const int64_t begin = number * samples.batch_size;
  const int64_t left = samples.n - begin;
  *samples.cursor = {static_cast<int32_t>(number), static_cast<int32_t>(begin),
                     static_cast<int32_t>(left < samples.batch_size ? left : samples.batch_size)};
  move_cursor(cursors.users, number);
  move_cursor(cursors.positives, number);
  move_cursor(cursors.negatives, number);
}

}  // namespace derrd
