#pragma once

#include <cstdint>

#include "kernels/platform/device.h"
#include "kernels/views.h"

namespace derrd {

/// Of Adam (Kingma and Ba, ICLR'15). Double, because 1 - beta2 and the powers of beta are taken in
/// double, as PyTorch does.
struct AdamOptions {
  double learning_rate = 1e-3;  ///< step length of a steady gradient
  double beta1 = 0.9;           ///< decay of the first moment
  double beta2 = 0.999;         ///< decay of the second moment
  double epsilon = 1e-8;        ///< added to the root of the second moment
  double weight_decay = 0;      ///< L2, coupled: added to the gradient
};

/// How many updates were made and what follows from it; in device memory, so that a step's launches
/// do not change. Starts as {}.
struct AdamStep {
  int64_t step = 0;                   ///< updates so far, the current one included
  float step_size = 0;                ///< learning rate / (1 - beta1^step)
  float inverse_root_correction = 0;  ///< 1 / sqrt(1 - beta2^step)
};

/// step->step += 1, and the two corrections follow. Before every round of adam_update.
/// @param step device memory, overwritten
void adam_advance(AdamStep* step, AdamOptions options, const Stream& stream);

/// One update of every parameter, touched by the batch or not; torch.optim.Adam to rounding:
///   g = gradient + weight_decay p,  m += (1 - beta1)(g - m),  v = beta2 v + (1 - beta2) g^2,
///   p -= step_size m / (sqrt(v) inverse_root_correction + epsilon).
/// @param parameters [n], updated
/// @param first_moment, second_moment [n], updated; they start as zero
/// @param gradient [n], read, then set to zero for the next step
/// @param step device memory, advanced before
/// @throws std::invalid_argument if the sizes differ.
void adam_update(Vector<float> parameters, Vector<float> first_moment, Vector<float> second_moment,
                 Vector<float> gradient, AdamOptions options, const AdamStep* step,
                 const Stream& stream);

}  // namespace derrd
