#pragma once

#include <cstdint>

#include "engine/models/model.h"
#include "engine/sort_space.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Samples of an epoch, a row of slots per anchor, with an index by row.
class SlotSamples {
 public:
  /// @param anchor_rows, other_rows numbers of users and items, or of items and users
  SlotSamples(int64_t anchor_rows, int64_t other_rows, int64_t slots);

  /// Returns the bytes of device memory that samples take; the parameters are the constructor's.
  static int64_t device_bytes(int64_t anchor_rows, int64_t other_rows, int64_t slots) {
    return (anchor_rows * (2 * slots + 1) + other_rows + 1) * static_cast<int64_t>(sizeof(int32_t));
  }

  /// Samples [anchor rows, slots]: numbers of the other table's rows, -1: none. Fill them in every
  /// epoch, then call invert().
  Matrix<int32_t> samples() const { return samples_.matrix(anchor_rows_, slots_); }
  /// Indexes the samples by the rows that they hold.
  /// @param space has room for a pair per sample
  void invert(const SortSpace& space, const Stream& stream) const;
  /// Positions of the batch's anchors [anchor rows], as locate_rows() and scores of slots leave
  /// them.
  Vector<int32_t> position() const { return position_.view(); }
  /// Forgets the positions of earlier batches, before a batch whose list of anchors takes the place
  /// of the last one's.
  void forget_positions(const Stream& stream) const { position_.zero(stream); }
  /// Returns the index, for the batch whose anchors have been located last.
  SlotIndex index() const { return {offsets_.view(), occurrences_.view(), position_.view()}; }

 private:
  int64_t anchor_rows_, slots_;
  DeviceArray<int32_t> samples_;       // [anchor rows, slots]
  DeviceArray<int32_t> offsets_;       // [other rows + 1] occurrences among the samples
  DeviceArray<uint32_t> occurrences_;  // [anchor rows * slots]
  DeviceArray<int32_t> position_;      // [anchor rows] among the distinct anchors of the batch
};

/// Common part of the losses on scores of sampled rows. forward() scores the samples of a batch;
/// backward() passes the scores' gradients on to the student. A loss does its work in between.
class SlotLosses {
 public:
  /// @param samples samples of the epoch; they outlive this object
  /// @param capacity no batch has more distinct anchors
  SlotLosses(Entity anchor, const SlotSamples& samples, int64_t capacity, Model& student);

  /// Returns the bytes of device memory that the losses take, the student's not included.
  static int64_t device_bytes(int64_t capacity, int64_t slots) {
    return capacity * (1 + 2 * slots) * static_cast<int64_t>(sizeof(float));
  }

  /// Lists the rows that forward() of these anchors reads.
  std::vector<RowsRead> reads(RowSegments anchors) const {
    return slot_batch_rows({samples_.samples(), anchors}, anchor_);
  }

  /// A batch's slots with their scores, and the arrays that a loss writes.
  struct Scored {
    Vector<float> loss;         ///< [anchors.capacity]
    Matrix<float> grad_score;   ///< [anchors.capacity, slots]
    Matrix<const float> score;  ///< [anchors.capacity, slots]
    SlotBatch batch;
  };
  /// Scores the slots of these anchors.
  Scored forward(RowSegments anchors, Model& student, const Stream& stream) const;
  /// Adds the anchors' losses to `loss`, and the gradients of the scores to the student's.
  void backward(const Scored& scored, Model& student, LossSum loss, const Stream& stream) const;

 private:
  Entity anchor_;
  const SlotSamples& samples_;
  DeviceArray<float> loss_terms_;          // [capacity]
  DeviceArray<float> score_, grad_score_;  // [capacity, slots]
};

}  // namespace derrd
