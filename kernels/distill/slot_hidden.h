#pragma once

#include <cstdint>

#include "kernels/distill/slot_scores.h"
#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

// Slots of a ranking loss as pairs for a perceptron: slot s of the batch's n-th anchor is pair
// n * S + s; the first count * S are active. An empty slot is a pair without a row.

/// Memory that locate_slots writes, for anchors.capacity * S pairs.
struct SlotPairs {
  Vector<int32_t> anchor_positions;  ///< n, position among the batch's distinct anchors
  Vector<int32_t> other_rows;        ///< the sample: a row of the other table, or -1
  int32_t* active = nullptr;         ///< device memory: count * S

  /// Pairs as neumf_first_layer_forward takes them, with anchors for users.
  PairRows rows() const { return {anchor_positions, other_rows, {active}}; }
};

/// Finds the pairs of the batch's slots.
/// @param out overwritten; only the active pairs of the vectors
/// @throws std::invalid_argument if the shapes do not fit.
void locate_slots(SlotPairs out, SlotBatch batch, const Stream& stream);

/// One pass of the output layer over the slots: the same value for forward and backward. A view.
struct SlotOutputCall {
  Matrix<const float> hidden;  ///< [anchors.capacity * S, H] the perceptron's last layer
  Vector<const float> weight;  ///< [H]
  Vector<const float> bias;    ///< [1]; the backward pass does not read it
  SlotBatch batch;
};

/// Results of the output layer's backward pass, and scratch. A view.
struct SlotOutputGradients {
  Matrix<float> hidden;  ///< [anchors.capacity * S, H] overwritten; 0 for an empty slot
  Vector<float> weight;  ///< [H] accumulated
  Vector<float> bias;    ///< [1] accumulated
  Matrix<float> sums;    ///< [anchors.capacity, H + 1] scratch
};

/// Output layer's part of the slots' scores:
///   score[n, s] += weight . hidden[n * S + s] + bias   where the slot is not empty.
/// @param score [anchors.capacity, S] accumulated; inactive rows are left alone
/// @throws std::invalid_argument if the shapes do not fit.
void slot_output_forward(Matrix<float> score, const SlotOutputCall& call, const Stream& stream);

/// Gradients of slot_output_forward over the slots that are not empty, with g = grad_score:
///   grad_hidden = g weight,  grad_weight += sum of g hidden,  grad_bias += sum of g.
/// @param gradients inactive rows of gradients.hidden are left alone
/// @param grad_score [anchors.capacity, S]; read where a slot is not empty
/// @throws std::invalid_argument if the shapes do not fit.
void slot_output_backward(const SlotOutputGradients& gradients, Matrix<const float> grad_score,
                          const SlotOutputCall& call, const Stream& stream);

/// Arguments of the first layer's backward pass over the slots. A view.
struct SlotHiddenCall {
  Matrix<const float> hidden;  ///< [anchors.capacity * S, H] of neumf_first_layer_forward
  SlotBatch batch;
  SlotIndex index;  ///< inverse of batch.samples
};

/// Gradients of neumf_first_layer_forward by its two parts, over the slots that are not empty:
///   grad_anchor_part[n] = sum over n's slots p, ascending, of grad_hidden_p where hidden_p > 0
///   grad_other_part[r]  = the same sum over the batch's slots that hold r
/// @param grad_anchor_part [anchors.capacity, H] overwritten; 0 beyond the batch's anchors
/// @param grad_other_part [other rows, H] overwritten
/// @param grad_hidden [anchors.capacity * S, H]
/// @throws std::invalid_argument if the shapes do not fit, or anchors and slots exceed 32 bits.
void slot_hidden_backward(Matrix<float> grad_anchor_part, Matrix<float> grad_other_part,
                          Matrix<const float> grad_hidden, const SlotHiddenCall& call,
                          const Stream& stream);

}  // namespace derrd
