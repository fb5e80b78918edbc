#pragma once

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// What the first layer of a perceptron makes of rows, and the pairs of such rows. A view.
struct NeumfFirstLayerCall {
  Matrix<const float> user_part;  ///< [*, H]
  Matrix<const float> item_part;  ///< [*, H]
  Vector<const float> bias = {};  ///< [H]; empty: user_part has it already
  PairRows pairs;
};

/// First hidden layer of a perceptron on the vectors of a user and an item side by side (He et
/// al., WWW'17, equation 10), for pairs, from what the layer makes of each row:
///   h_p = relu(user_part[user of p] + bias + item_part[item of p]) = relu(W [u; i] + b)
/// with user_part = u W_u^T, item_part = i W_i^T and W = [W_u W_i].
/// @param hidden [N, H] overwritten; 0 for inactive pairs and those with a row of -1
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_first_layer_forward(Matrix<float> hidden, const NeumfFirstLayerCall& call,
                               const Stream& stream);

}  // namespace derrd
