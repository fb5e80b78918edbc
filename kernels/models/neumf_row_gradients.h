#pragma once

#include <cstdint>

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Results of neumf_row_gradients. A view.
struct NeumfRowGradients {
  Matrix<float> user, item;  ///< [U, D], [I, D] accumulated: the tables of the product
  /// [distinct_users.capacity, D], [distinct_positives.capacity + distinct_negatives.capacity, D]
  /// overwritten; 0 beyond the batch's rows: the parts of the perceptron's first layer
  Matrix<float> user_part, item_part;
};

/// A batch's pairs, and what came back to them. A view.
struct NeumfRowCall {
  Matrix<const float> user_table;   ///< [U, D]
  Matrix<const float> item_table;   ///< [I, D]
  Matrix<const float> grad_joint;   ///< [N, >= D] gradient by the joint vectors, the product first
  Matrix<const float> grad_hidden;  ///< [N, >= first_column + D] by the first layer's output
  int64_t first_column = 0;         ///< of that output's gradient in `grad_hidden`
  Matrix<const float> hidden;       ///< [N, D] the first layer's output
  PairRows pairs;                   ///< rows of the tables
  PairBatch batch;
};

/// Gradients by the rows of a batch's pairs. A user u gets, from its pairs p with items i,
///   user[u] += sum of grad_joint_p * item_table[i]    user_part[position of u] = sum of z_p
/// with z_p = grad_hidden_p where hidden_p > 0, else 0; an item likewise. Each sum has a fixed
/// order; an item's pairs in which it is positive come before those in which it is negative.
/// Inactive pairs are not read.
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_row_gradients(const NeumfRowGradients& out, const NeumfRowCall& call,
                         const Stream& stream);

}  // namespace derrd
