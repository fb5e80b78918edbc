#pragma once

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// One pass of the joint vectors: the same value for forward and backward. A view.
struct NeumfJointCall {
  Matrix<const float> user_table;  ///< [U, D]
  Matrix<const float> item_table;  ///< [I, D]
  Matrix<const float> hidden;      ///< [N, H]; the backward pass does not read it
  PairRows pairs;                  ///< rows of the tables
};

/// Results of the joint vectors' backward pass. A view.
struct NeumfJointGradients {
  Matrix<float> user;    ///< [U, D] accumulated
  Matrix<float> item;    ///< [I, D] accumulated
  Matrix<float> hidden;  ///< [N, H] overwritten, cleared
};

/// Joint vector of a pair in NeuMF (He et al., WWW'17, equation 12): the element-wise product of
/// its rows, then what the perceptron made of it,
///   x_p = [user_table[user of p] * item_table[item of p]; hidden_p].
/// @param joint [N, D + H] overwritten; 0 for inactive pairs and those with a row of -1
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_forward(Matrix<float> joint, const NeumfJointCall& call, const Stream& stream);

/// Score of the output layer: score_p = weight . x_p + bias.
/// @param score [N] overwritten; 0 for inactive pairs and those with a row of -1
/// @param joint [N, D + H], @param weight [D + H], @param bias [1]
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_score(Vector<float> score, Matrix<const float> joint, Vector<const float> weight,
                       Vector<const float> bias, PairRows pairs, const Stream& stream);

/// Gradients of neumf_joint_forward. A row's pairs are added in ascending order, those in which an
/// item is positive before those in which it is negative.
/// @param grad_joint [N, D + H]; inactive rows are not read
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_backward(const NeumfJointGradients& gradients, Matrix<const float> grad_joint,
                          const NeumfJointCall& call, const PairBatch& batch, const Stream& stream);

}  // namespace derrd
