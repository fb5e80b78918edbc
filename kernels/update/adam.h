#pragma once

#include <cstdint>

#include "kernels/platform/call_list.h"
#include "kernels/platform/device.h"
#include "kernels/platform/qualifiers.h"
#include "kernels/platform/views.h"

namespace derrd {

/// Hyperparameters of Adam (Kingma and Ba, ICLR'15). Double, because 1 - beta2 and the powers of
/// beta are taken in double, as PyTorch does.
struct AdamOptions {
  double learning_rate = 1e-3;  ///< step length of a steady gradient
  double beta1 = 0.9;           ///< decay of the first moment
  double beta2 = 0.999;         ///< decay of the second moment
  double epsilon = 1e-8;        ///< added to the root of the second moment
  double weight_decay = 0;      ///< L2, coupled: added to the gradient
};

/// Factors that follow from an update's number t; aligned for one access.
struct alignas(8) AdamCorrections {
  float step_size = 0;                ///< learning rate / (1 - beta1^t)
  float inverse_root_correction = 0;  ///< 1 / sqrt(1 - beta2^t)
};

/// Number of updates made and the factors that follow from it, in device memory, so that a step's
/// launches do not change. A view.
struct AdamHistory {
  int64_t* steps = nullptr;             ///< updates so far, the current one included; starts as 0
  Vector<AdamCorrections> corrections;  ///< of the latest updates: update t's at t % size, where
                                        ///< size is a power of two

  DERRD_HOST_DEVICE int64_t position_of(int64_t t) const { return t & (corrections.size - 1); }
};

/// Parameters [n] with all that Adam keeps of them. A view.
struct AdamParameters {
  Vector<float> value;
  Vector<float> first_moment, second_moment;  ///< start as zero
  Vector<float> gradient;
};

/// Begins update t = ++*history.steps: its corrections are written. Before adam_update.
/// @throws std::invalid_argument if the corrections' size is no power of two.
void adam_advance(AdamHistory history, AdamOptions options, const Stream& stream);

/// One update of every parameter, touched by the batch or not; torch.optim.Adam to rounding:
///   g = gradient + weight_decay p,  m += (1 - beta1)(g - m),  v = beta2 v + (1 - beta2) g^2,
///   p -= step_size m / (sqrt(v) inverse_root_correction + epsilon).
/// @param calls parts of the parameters, in one launch. Their values and moments are updated, the
/// gradients are read and then set to zero for the next step
/// @param history advanced before
/// @throws std::invalid_argument if the sizes differ.
void adam_update(const CallList<AdamParameters>& calls, AdamOptions options, AdamHistory history,
                 const Stream& stream);

}  // namespace derrd
