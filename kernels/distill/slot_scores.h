#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Sampled rows of one table for each row of another (the anchors: users or items), and the batch's
/// anchors. A view.
struct SlotBatch {
  /// [anchor rows, S] rows of the other table; -1: the slot is empty and takes no part.
  Matrix<const int32_t> samples;
  RowSegments anchors;  ///< the distinct anchors of the batch
  /// [anchor rows] or empty: slot_scores_forward() also does what locate_rows() does here.
  Vector<int32_t> position = {};
};

/// Inverse of SlotBatch::samples, valid as long as they are, and the batch's anchors. A view.
struct SlotIndex {
  /// [other rows + 1]: row r is held by the slots occurrences[offsets[r] .. offsets[r + 1]).
  Vector<const int32_t> offsets;
  Vector<const uint32_t> occurrences;  ///< [anchor rows * S] slot_code(S) of anchor and slot
  /// [anchor rows] of locate_rows: 1 + position in anchors.rows for the batch's anchors; outside
  /// the batch for the others.
  Vector<const int32_t> position;
};

/// Reduction of the anchors' losses over a batch.
enum class AnchorReduction {
  kSum,   ///< added up, the authors' convention
  kMean,  ///< divided by the number of the batch's anchors, as Section 4.2.3 prints it
};

/// One pass over a batch's slots: the same value for forward and backward. A view.
struct SlotScoresCall {
  Matrix<const float> anchor_embedding;  ///< [anchor rows, D]
  Matrix<const float> other_embedding;   ///< [other rows, D]
  SlotBatch batch;
  SlotIndex index = {};  ///< inverse of batch.samples; the forward pass does not read it
};

/// Inner products of the batch's anchors with their slots' rows:
///   score[n, slot] = anchor_embedding[anchor n] . other_embedding[samples[anchor n, slot]].
/// @param score [anchors.capacity, S] 0 for an empty slot; rows beyond the batch's anchors are left
///   alone. Overwritten.
/// @throws std::invalid_argument if the shapes do not fit.
void slot_scores_forward(Matrix<float> score, const SlotScoresCall& call, const Stream& stream);

/// Gradients of slot_scores_forward by both tables, in one launch. Each row is summed in a fixed
/// order.
///   grad_anchor[a] += sum over a's slots of grad_score[n, slot] * other_embedding[sample]
///   grad_other[r]  += sum over the batch's slots that hold r of grad_score[n, slot] * anchor
/// @param grad_anchor [anchor rows, D], grad_other [other rows, D]; accumulated
/// @param grad_score [anchors.capacity, S]; read where a slot is not empty
/// @throws std::invalid_argument if the shapes do not fit, or anchors and slots exceed 32 bits.
void slot_scores_backward(Matrix<float> grad_anchor, Matrix<float> grad_other,
                          Matrix<const float> grad_score, const SlotScoresCall& call,
                          const Stream& stream);

/// Inner products of adjacent users with an item list each:
///   score[r, j] = user[r] . item_embedding[item[r, j]]
/// @param score [n, S] 0 where the item is -1; overwritten
/// @param user [n, D], item_embedding [I, D], item [n, S]
/// @throws std::invalid_argument if the shapes do not fit.
void item_scores(Matrix<float> score, Matrix<const float> user, Matrix<const float> item_embedding,
                 Matrix<const int32_t> item, const Stream& stream);

}  // namespace derrd
