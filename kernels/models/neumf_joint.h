#pragma once

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Joint vectors of pairs, and the output layer that scores them. A view.
struct NeumfJointCall {
  Matrix<const float> user_table;  ///< [U, D]
  Matrix<const float> item_table;  ///< [I, D]
  Matrix<const float> hidden;      ///< [N, H]
  PairRows pairs;                  ///< rows of the tables
  Vector<const float> weight;      ///< [D + H] of the output layer; without scores not read
  Vector<const float> bias;        ///< [1] likewise
};

/// Joint vector of a pair in NeuMF (He et al., WWW'17, equation 12): the element-wise product of
/// its rows, then what the perceptron made of it,
///   x_p = [user_table[user of p] * item_table[item of p]; hidden_p].
/// @param joint [N, D + H] overwritten; 0 for inactive pairs and those with a row of -1
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_forward(Matrix<float> joint, const NeumfJointCall& call, const Stream& stream);

/// Joint vectors and their scores, score_p = weight . x_p + bias.
/// @param score [N] overwritten; 0 for inactive pairs and those with a row of -1
/// @param joint [N, D + H] overwritten
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_score(Vector<float> score, Matrix<float> joint, const NeumfJointCall& call,
                       const Stream& stream);

/// Results of neumf_joint_loss. A view.
struct NeumfJointLoss {
  Vector<float> loss;        ///< [N] overwritten, cleared
  Vector<float> grad_score;  ///< [N] overwritten, cleared
  Matrix<float> joint;       ///< [N, D + H] overwritten, cleared
  Matrix<float> grad_joint;  ///< [N, D + H] overwritten, cleared
};

/// Binary cross entropy (equation 7) of the pairs of samples: the score x of pair 2s stands for the
/// probability sigmoid(x) of an observed item, that of pair 2s + 1 for the one of another item,
///   loss = -log sigmoid(x),   grad_score = sigmoid(x) - 1,   for pair 2s,
///   loss = -log sigmoid(-x),  grad_score = sigmoid(x),       for pair 2s + 1,
///   grad_joint = grad_score * weight.
/// Exact for scores of any size; a NaN score gives NaN in all of them. Clears pairs with a row of
/// -1, too.
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_loss(const NeumfJointLoss& out, const NeumfJointCall& call, const Stream& stream);

}  // namespace derrd
