#pragma once

#include <cstdint>

#include "engine/parameters.h"
#include "kernels/adam.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Dense Adam with coupled L2 over the whole arena: every element moves at every step, whether the
/// batch touched it or not.
class Optimizer {
 public:
  Optimizer(const Parameters& parameters, AdamOptions options, const Stream& stream);

  /// One step from the accumulated gradients, which are zero afterwards. Neither allocates nor
  /// waits.
  void step(const Stream& stream);

  /// Steps taken so far; waits for the stream.
  int64_t steps(const Stream& stream) const;
  /// Continues from a checkpoint.
  void set_steps(int64_t steps, const Stream& stream);

 private:
  const Parameters& parameters_;
  AdamOptions options_;
  DeviceArray<AdamStep> step_;
};

}  // namespace derrd
