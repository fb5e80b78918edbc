#pragma once

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Distance of the reconstruction from the teacher's vector.
enum class ReconstructionNorm {
  kSquared,    ///< sum of squares, the authors' convention
  kEuclidean,  ///< its root, as equation 7 prints it; its gradient at distance 0 is 0
};

struct ReconstructionOptions {
  ReconstructionNorm norm = ReconstructionNorm::kSquared;
  float loss_weight = 1.0f;     ///< weight of an entity, in the loss and in the gradient
  float gradient_scale = 1.0f;  ///< factor of the gradient alone: the lambda of the whole loss
};

/// Arguments of the reconstruction loss. A view.
struct ReconstructionCall {
  Vector<float> loss;  ///< [N] overwritten, cleared
  Matrix<float>
      grad_reconstruction;  ///< [N, T] gradient_scale * dloss_n/dR_n, overwritten, cleared
  Matrix<const float> reconstruction;  ///< R [N, T]
  Matrix<const float> teacher;         ///< t [N, T]
  ReconstructionOptions options = {};
  ActiveRows active = {};  ///< entities of the batch; inactive rows are not read
};

/// Reconstruction loss of Distillation Experts (DE-RRD, equations 6 and 7):
///   loss_n = loss_weight * |t_n - R_n|^2, or loss_weight * |t_n - R_n|.
/// @throws std::invalid_argument if the shapes do not fit.
void reconstruction_loss(const CallList<ReconstructionCall>& calls, const Stream& stream);

}  // namespace derrd
