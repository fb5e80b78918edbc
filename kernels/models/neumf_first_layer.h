#pragma once

#include "kernels/models/neumf_pairs.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// First hidden layer of a perceptron on the vectors of a user and an item side by side (He et
/// al., WWW'17, equation 10), for pairs, from what the layer makes of each row:
///   h_p = relu(user_part[user of p] + item_part[item of p]) = relu(W [u; i] + b)
/// with user_part = u W_u^T + b, item_part = i W_i^T and W = [W_u W_i].
/// @param hidden [N, H] overwritten; 0 for inactive pairs and those with a row of -1
/// @param user_part, item_part [*, H]
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_first_layer_forward(Matrix<float> hidden, Matrix<const float> user_part,
                               Matrix<const float> item_part, PairRows pairs, const Stream& stream);

/// Gradient of neumf_first_layer_forward by the part of the batch's distinct rows: for row i, over
/// its pairs p, ascending,
///   grad_part[i] = sum of grad_hidden_p where hidden_p > 0.
/// @param grad_part [segments.rows.capacity, H] overwritten; 0 beyond the batch's rows
/// @param grad_hidden, hidden [N, H] by the number of the pair within the batch
/// @throws std::invalid_argument if the shapes do not fit.
void neumf_first_layer_backward(Matrix<float> grad_part, Matrix<const float> grad_hidden,
                                Matrix<const float> hidden, PairSegments segments,
                                const Stream& stream);

}  // namespace derrd
