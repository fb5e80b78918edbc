#pragma once

#include <cstdint>

#include "engine/device_dataset.h"
#include "engine/sort_space.h"
#include "kernels/epoch/segments.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Batches of an epoch.
struct BatchOptions {
  int64_t batch_size = 1024;  ///< samples (user, positive, negative) in a batch
  int64_t negatives = 1;      ///< samples per training interaction and epoch
  uint64_t seed = 0;
};

/// The plan of an epoch, on the device: its samples in shuffled order, and for every batch the
/// distinct users, positive items and negative items with their occurrences. Made once an epoch; a
/// step only moves the cursors.
class EpochPlan {
 public:
  /// @param data outlives the plan
  /// @throws Error for more than 2^30 samples.
  EpochPlan(const DeviceDataset& data, BatchOptions options);

  /// Returns the samples of an epoch. @throws Error for more than 2^30.
  static int64_t count_samples(int64_t pairs, int64_t negatives);
  /// Returns the bytes of device memory that a plan of `samples` samples takes, and those of host
  /// memory that the sorts of its beginning take besides.
  static int64_t device_bytes(int64_t samples, int64_t batch_size);
  static int64_t host_bytes(int64_t samples);

  /// Draws negatives, shuffles and plans.
  void begin_epoch(int epoch, const Stream& stream);
  /// Moves on to the next batch (the first after begin_epoch). Neither allocates nor waits.
  void next(const Stream& stream);

  int64_t batches() const { return batches_; }
  int64_t batch_size() const { return options_.batch_size; }
  uint64_t seed() const { return options_.seed; }
  int epoch() const { return epoch_; }

  /// The epoch's samples [n] in order.
  Vector<const int32_t> users() const { return users_.view(); }
  Vector<const int32_t> positives() const { return positives_.view(); }
  Vector<const int32_t> negatives() const { return negatives_.view(); }
  /// The cursors that next() moves.
  BatchCursors cursors() const;
  /// Range of the samples that the current batch holds, in device memory.
  const BatchCursor* cursor() const { return cursors_.data(); }

  /// Distinct rows of the current batch, with their occurrences.
  RowSegments distinct_users() const { return users_plan_.segments; }
  RowSegments distinct_positives() const { return positives_plan_.segments; }
  RowSegments distinct_negatives() const { return negatives_plan_.segments; }

 private:
  /// The segments of one kind of row.
  struct Plan {
    DeviceArray<int32_t> rows, offsets, occurrences, batch_offsets;
    RowSegments segments;
    int64_t table_rows = 0;
  };
  Plan make_plan(int64_t table_rows, const BatchCursor* cursor) const;
  static SegmentList segment_list(const Plan& plan, const DeviceArray<int32_t>& row_of_sample);

  const DeviceDataset& data_;
  BatchOptions options_;
  int64_t samples_;
  int64_t batches_;
  int epoch_ = -1;

  DeviceArray<int32_t> pair_negatives_;  // [n], `negatives` adjacent items for every interaction
  DeviceArray<int32_t> users_, positives_, negatives_;
  DeviceArray<BatchCursor> cursors_;  // samples, users, positives, negatives
  Plan users_plan_, positives_plan_, negatives_plan_;

  SortSpace space_;
  DeviceArray<int32_t> heads_;
};

}  // namespace derrd
