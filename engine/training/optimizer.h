#pragma once

#include <cstdint>
#include <vector>

#include "engine/training/parameters.h"
#include "kernels/platform/memory.h"
#include "kernels/update/adam.h"

namespace derrd {

/// When the rows of tables are updated. The results agree to the bit.
enum class RowUpdates {
  kAuto,       ///< the faster way: when read, where the tables exceed the device's cache
  kWhenRead,   ///< a row's updates wait until it is next read: traffic for the rows of a batch
  kEveryStep,  ///< all rows at every step: traffic for the whole tables
};

/// Dense Adam with coupled L2 over the whole arena: every element moves at every step, whether the
/// batch touched it or not.
class Optimizer {
 public:
  /// @param parameters allocated; outlives the optimizer, which is its only one
  /// @param window no more steps than this between two calls of catch_up()
  Optimizer(Parameters& parameters, AdamOptions options, RowUpdates row_updates, int64_t window,
            const Stream& stream);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One step from the accumulated gradients. They are zero afterwards, but for tables whose rows
  /// wait. Neither allocates nor waits.
  /// @throws std::logic_error beyond the window; steps that a graph repeats are not seen.
  void step(const Stream& stream);
  /// Makes the updates that rows still wait for: the arena is as after the last step.
  void catch_up(const Stream& stream);

  /// Steps taken so far; waits for the stream.
  int64_t steps(const Stream& stream) const;
  /// Continues from a checkpoint, where no row waited.
  void set_steps(int64_t steps, const Stream& stream);

 private:
  AdamHistory history() const { return {steps_.data(), corrections_.view()}; }

  Parameters& parameters_;
  AdamOptions options_;
  int64_t window_;
  RowUpdates row_updates_;
  std::vector<Parameters::Range> every_step_;  // what is updated by step()
  DeviceArray<int64_t> steps_;                 // [1]
  DeviceArray<AdamCorrections> corrections_;   // of the latest steps
  int64_t since_catch_up_ = 0;                 // steps
};

}  // namespace derrd
