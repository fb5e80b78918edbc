#pragma once

#include <cstdint>

#include "kernels/epoch/segments.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// The epoch's samples (user, positive item, negative item) in training order, and where the
/// current batch lies. A view.
struct BprSamples {
  Vector<const int32_t> users;         ///< [n]
  Vector<const int32_t> positives;     ///< [n]
  Vector<const int32_t> negatives;     ///< [n]
  const BatchCursor* batch = nullptr;  ///< device memory
  int64_t capacity = 0;                ///< no batch has more samples
};

/// One pass over a batch of samples: the same value for forward and backward. A view.
struct BprCall {
  Matrix<const float> user_embedding;  ///< [U, D]
  Matrix<const float> item_embedding;  ///< [I, D]
  BprSamples samples;
  /// Distinct rows of the batch in each of the samples' columns; the forward pass does not read
  /// them.
  RowSegments users, positives, negatives;
};

/// Bayesian personalised ranking (Rendle et al., UAI'09): loss of the batch's samples,
///   x = u . (v+ - v-),  loss = -log sigmoid(x),  coefficient = d loss / dx = -sigmoid(-x).
/// Exact for scores of any size; a NaN score gives NaN in both outputs.
/// @param loss [capacity], overwritten; zero beyond batch->count
/// @param coefficient [capacity], overwritten; zero beyond batch->count
/// @throws std::invalid_argument if the shapes do not fit.
void bpr_forward(Vector<float> loss, Vector<float> coefficient, const BprCall& call,
                 const Stream& stream);

/// Gradients of the summed loss: grad_user[u] += c (v+ - v-), grad_item[v+] += c u,
/// grad_item[v-] -= c u, with c the coefficient that bpr_forward wrote. A row's samples are added
/// in ascending order, those in which an item is positive before those in which it is negative.
/// @param grad_user [U, D], accumulated
/// @param grad_item [I, D], accumulated
/// @param coefficient [capacity]
/// @throws std::invalid_argument if the shapes do not fit, or a batch's rows are too many for
/// 32-bit numbers.
void bpr_backward(Matrix<float> grad_user, Matrix<float> grad_item, Vector<const float> coefficient,
                  const BprCall& call, const Stream& stream);

}  // namespace derrd
