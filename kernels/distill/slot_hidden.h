#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// The slots of a ranking loss as pairs for a perceptron: slot s of the batch's n-th anchor is pair
// n * S + s; the live ones are the first count * S. An empty slot is a pair without a row.

/// What locate_slots writes, for anchors.capacity * S pairs.
struct SlotPairs {
  Vector<int32_t> anchor_places;  ///< n, the place among the batch's distinct anchors
  Vector<int32_t> other_rows;     ///< the sample: a row of the other table, or -1
  int32_t* live = nullptr;        ///< device memory: count * S

  /// As neumf_first_layer_forward takes them, with the anchors in the users' place.
  PairRows rows() const { return {anchor_places, other_rows, live}; }
};

/// @param out overwritten; of the vectors the live pairs
/// @throws std::invalid_argument if the shapes do not fit.
void locate_slots(SlotPairs out, SlotBatch batch, const Stream& stream);

/// The output layer's part of what the perceptron made of each slot:
///   score[n, s] += weight . hidden[n * S + s] + bias   where the slot is not empty.
/// @param score [anchors.capacity, S] accumulated; rows beyond the batch's anchors are left alone
/// @param hidden [anchors.capacity * S, H]
/// @param weight [H], @param bias [1]
/// @throws std::invalid_argument if the shapes do not fit.
void slot_output_forward(Matrix<float> score, Matrix<const float> hidden,
                         Vector<const float> weight, Vector<const float> bias, SlotBatch batch,
                         const Stream& stream);

/// Its gradients, over the slots that are not empty, g = grad_score:
///   grad_hidden = g weight,  grad_weight += sum of g hidden,  grad_bias += sum of g.
/// @param grad_hidden [anchors.capacity * S, H] overwritten, 0 for an empty slot; rows beyond the
///   live ones are left alone
/// @param grad_weight [H], grad_bias [1]; accumulated
/// @param sums [anchors.capacity, H + 1] scratch
/// @param grad_score [anchors.capacity, S]; read where a slot is not empty
/// @throws std::invalid_argument if the shapes do not fit.
void slot_output_backward(Matrix<float> grad_hidden, Vector<float> grad_weight,
                          Vector<float> grad_bias, Matrix<float> sums,
                          Matrix<const float> grad_score, Matrix<const float> hidden,
                          Vector<const float> weight, SlotBatch batch, const Stream& stream);

/// The gradients of neumf_first_layer_forward by its two parts, over the slots that are not empty:
///   grad_anchor_part[n] = sum over n's slots p, ascending, of grad_hidden_p where hidden_p > 0
///   grad_other_part[r]  = the same over the batch's slots that hold r
/// @param grad_anchor_part [anchors.capacity, H] overwritten; 0 beyond the batch's anchors
/// @param grad_other_part [other rows, H] overwritten
/// @param grad_hidden, hidden [anchors.capacity * S, H]
/// @throws std::invalid_argument if the shapes do not fit, or anchors and slots exceed 32 bits.
void slot_hidden_backward(Matrix<float> grad_anchor_part, Matrix<float> grad_other_part,
                          Matrix<const float> grad_hidden, Matrix<const float> hidden,
                          SlotBatch batch, SlotIndex index, const Stream& stream);

}  // namespace derrd
