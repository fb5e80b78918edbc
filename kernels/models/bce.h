#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Binary cross entropy of scores x that stand for probabilities sigmoid(x), with targets t in
/// [0, 1]:
///   loss = -t log sigmoid(x) - (1 - t) log sigmoid(-x),   grad_score = sigmoid(x) - t.
/// Exact for scores of any size; a NaN score gives NaN in both outputs.
/// @param loss, grad_score [N] overwritten, cleared
/// @param score, target [N]
/// @param active scores of the batch
/// @throws std::invalid_argument if the shapes do not fit.
void binary_cross_entropy(Vector<float> loss, Vector<float> grad_score, Vector<const float> score,
                          Vector<const float> target, ActiveRows active, const Stream& stream);

}  // namespace derrd
