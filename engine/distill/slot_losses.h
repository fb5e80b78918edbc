#pragma once

#include <cstdint>

#include "engine/models/model.h"
#include "engine/sort_space.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Samples of an epoch, a row of slots per anchor, with their inverse.
class SlotSamples {
 public:
  /// @param anchor_rows, other_rows of the tables: users and items, or the other way round
  SlotSamples(int64_t anchor_rows, int64_t other_rows, int64_t slots);

  /// Samples to fill every epoch, then to invert: [anchor rows, slots] of the other rows, -1: none.
  Matrix<int32_t> samples() const { return samples_.matrix(anchor_rows_, slots_); }
  /// Indexes the samples by the rows that they hold.
  /// @param space has room for a pair per sample
  void invert(const SortSpace& space, const Stream& stream) const;
  /// The index for a batch of these anchors, valid until the next one is asked for.
  SlotIndex index(RowSegments anchors, const Stream& stream) const;

 private:
  int64_t anchor_rows_, slots_;
  DeviceArray<int32_t> samples_;       // [anchor rows, slots]
  DeviceArray<int32_t> offsets_;       // [other rows + 1] occurrences among the samples
  DeviceArray<uint32_t> occurrences_;  // [anchor rows * slots]
  DeviceArray<int32_t> position_;      // [anchor rows] among the distinct anchors of the batch
};

/// What the losses on scores of sampled rows share: the way of a batch from its samples to scores,
/// and from the scores' gradients to the student's. A loss itself stands between forward() and
/// backward().
class SlotLosses {
 public:
  /// @param samples of the epoch; they outlive this
  /// @param capacity no batch has more distinct anchors
  SlotLosses(Entity anchor, const SlotSamples& samples, int64_t capacity, Model& student);

  /// Lists the rows that forward() of these anchors reads.
  std::vector<RowsRead> reads(RowSegments anchors) const {
    return slot_batch_rows({samples_.samples(), anchors}, anchor_);
  }

  /// A batch's slots with their scores, and where a loss writes.
  struct Scored {
    Vector<float> loss;         ///< [anchors.capacity]
    Matrix<float> grad_score;   ///< [anchors.capacity, slots]
    Matrix<const float> score;  ///< [anchors.capacity, slots]
    SlotBatch batch;
  };
  Scored forward(RowSegments anchors, Model& student, const Stream& stream) const;
  /// Adds the anchors' losses to *loss, and the gradients of the scores to the student's.
  void backward(const Scored& scored, Model& student, double* loss, const Stream& stream) const;

 private:
  Entity anchor_;
  const SlotSamples& samples_;
  DeviceArray<float> loss_terms_;          // [capacity]
  DeviceArray<float> score_, grad_score_;  // [capacity, slots]
};

}  // namespace derrd
