#pragma once

#include <cstdint>

#include "engine/models/model.h"
#include "engine/sort_space.h"
#include "kernels/distill/slot_scores.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// An epoch's samples, a row of slots per anchor, with their inverse.
class SlotSamples {
 public:
  /// @param anchor_rows, other_rows of the tables: users and items, or the other way round
  SlotSamples(int64_t anchor_rows, int64_t other_rows, int64_t slots);

  /// [anchor rows, slots]: to be filled every epoch, and inverted after it.
  Matrix<int32_t> samples() const { return samples_.matrix(anchor_rows_, slots_); }
  /// Indexes the samples by the rows that they hold.
  /// @param space for as many pairs as there are samples
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

/// What the losses on scores of sampled rows share: an epoch's samples, and the way of a batch from
/// its scores to the gradients. The loss itself stands between forward() and backward().
class SlotLosses {
 public:
  /// @param anchor_rows, other_rows of the tables: users and items, or the other way round
  /// @param capacity no batch has more distinct anchors
  SlotLosses(Anchor anchor, int64_t anchor_rows, int64_t other_rows, int64_t slots,
             int64_t capacity, Model& student);

  /// As SlotSamples.
  Matrix<int32_t> samples() const { return slots_.samples(); }
  void invert(const SortSpace& space, const Stream& stream) const { slots_.invert(space, stream); }

  /// A batch's slots with their scores, and where a loss writes.
  struct Scored {
    Vector<float> loss;        ///< [anchors.capacity]
    Matrix<float> grad_score;  ///< [anchors.capacity, slots]
    Matrix<const float> score;
    SlotBatch batch;
  };
  Scored forward(RowSegments anchors, Model& student, const Stream& stream) const;
  /// *loss grows by the anchors' losses, the student's gradients by those of the scores.
  void backward(const Scored& scored, Model& student, double* loss, const Stream& stream) const;

 private:
  Anchor anchor_;
  SlotSamples slots_;
  DeviceArray<float> loss_terms_;          // [capacity]
  DeviceArray<float> score_, grad_score_;  // [capacity, slots]
};

}  // namespace derrd
