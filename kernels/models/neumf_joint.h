#pragma once

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// The joint vector of a pair in NeuMF (He et al., WWW'17, equation 12): the element-wise product
/// of its rows beside what the perceptron made of it,
///   x_p = [user_table[user of p] * item_table[item of p]; hidden_p].
/// @param joint [N, D + H] overwritten; 0 for pairs beyond the live ones and those with a row of -1
/// @param user_table [U, D], @param item_table [I, D]
/// @param hidden [N, H]
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_forward(Matrix<float> joint, Matrix<const float> user_table,
                         Matrix<const float> item_table, Matrix<const float> hidden, PairRows pairs,
                         const Stream& stream);

/// The output layer: score_p = weight . x_p + bias.
/// @param score [N] overwritten; 0 for pairs beyond the live ones and those with a row of -1
/// @param joint [N, D + H], @param weight [D + H], @param bias [1]
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_score(Vector<float> score, Matrix<const float> joint, Vector<const float> weight,
                       Vector<const float> bias, PairRows pairs, const Stream& stream);

/// The gradients of neumf_joint_forward. A row's pairs are added in ascending order, those in which
/// an item is positive before those in which it is negative.
/// @param grad_user [U, D], grad_item [I, D] accumulated
/// @param grad_hidden [N, H] overwritten; 0 beyond the live pairs
/// @param grad_joint [N, D + H]; beyond the live pairs it is not read
/// @param pairs the rows in the tables of the batch's pairs
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_joint_backward(Matrix<float> grad_user, Matrix<float> grad_item,
                          Matrix<float> grad_hidden, Matrix<const float> grad_joint,
                          Matrix<const float> user_table, Matrix<const float> item_table,
                          PairRows pairs, PairBatch batch, const Stream& stream);

}  // namespace derrd
