#pragma once

#include <cstdint>

#include "engine/device_dataset.h"
#include "engine/distill/ranking_sampler.h"
#include "engine/distill/rrd.h"
#include "engine/distill/slot_losses.h"
#include "engine/training/epoch_plan.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// The distinct items that Relaxed Ranking Distillation draws for the users of a batch, interesting
/// and uninteresting ones. It draws them itself, from the same random numbers, so that no loss
/// depends on another.
class SampledItems {
 public:
  /// @param rrd the options that decide what is drawn
  /// @param lists the teacher's ranking [U, R]: unobserved items, best first, -1 padded; outlives
  ///   this
  /// @param user_capacity no batch has more distinct users
  SampledItems(const RrdOptions& rrd, const DeviceDataset& data, Matrix<const int32_t> lists,
               int64_t user_capacity, const Stream& stream);

  /// No batch has more of them.
  int64_t capacity() const { return capacity_; }
  /// Draws those of the epoch that `plan` has just begun.
  void begin_epoch(const EpochPlan& plan, const Stream& stream);
  /// Those of the current batch: rows and batch alone. Neither allocates nor waits.
  RowSegments of_batch(const EpochPlan& plan, const Stream& stream) const;

 private:
  RankingSampler sampler_;
  SlotSamples slots_;
  int64_t capacity_;
  DeviceArray<int32_t> rows_;         // [I]
  DeviceArray<int32_t> places_;       // [I + 1]
  DeviceArray<uint8_t> sum_scratch_;  // of I + 1 numbers
  DeviceArray<BatchCursor> cursor_;   // [1]
};

}  // namespace derrd
