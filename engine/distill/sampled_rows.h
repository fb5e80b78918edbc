#pragma once

#include <cstdint>
#include <memory>

#include "engine/distill/ranking_samples.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Distinct rows among the samples of a batch's anchors. If the anchors are users, these are the
/// distinct items drawn for them.
class SampledRows {
 public:
  /// @param samples samples of all anchors
  /// @param rows number of rows in the table that the samples come from
  /// @param anchor_capacity no batch has more distinct anchors
  SampledRows(std::shared_ptr<RankingSamples> samples, int64_t rows, int64_t anchor_capacity);

  /// Returns the bytes of device memory that this takes.
  static int64_t device_bytes(int64_t rows);

  RankingSamples& samples() const { return *samples_; }
  /// Largest number of rows in a batch.
  int64_t capacity() const { return capacity_; }
  /// Finds the rows of the batch with these anchors. The result has only `rows` and `batch` set.
  /// Neither allocates nor waits.
  RowSegments of_batch(RowSegments anchors, const Stream& stream) const;

 private:
  std::shared_ptr<RankingSamples> samples_;
  int64_t capacity_;
  DeviceArray<int32_t> rows_;         // [rows]
  DeviceArray<int32_t> positions_;    // [rows + 1]
  DeviceArray<uint8_t> sum_scratch_;  // for rows + 1 numbers
  DeviceArray<BatchCursor> cursor_;   // [1]
};

}  // namespace derrd
