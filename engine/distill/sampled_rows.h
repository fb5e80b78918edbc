#pragma once

#include <cstdint>
#include <memory>

#include "engine/distill/ranking_samples.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// The distinct rows among the samples of a batch's anchors: of users, the items drawn for them.
class SampledRows {
 public:
  /// @param samples whose rows are found
  /// @param rows of the table that the samples come from
  /// @param anchor_capacity no batch has more distinct anchors
  SampledRows(std::shared_ptr<RankingSamples> samples, int64_t rows, int64_t anchor_capacity);

  RankingSamples& samples() const { return *samples_; }
  /// Most rows that a batch has.
  int64_t capacity() const { return capacity_; }
  /// Finds the rows of the batch with these anchors: `rows` and `batch` are set, nothing else.
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
