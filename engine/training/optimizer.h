#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/parameters.h"
#include "engine/rows_read.h"
#include "kernels/platform/memory.h"
#include "kernels/update/adam.h"
#include "kernels/update/adam_rows.h"
#include "kernels/update/end_step.h"

namespace derrd {

/// Time at which the rows of embedding tables are updated. Results agree to the bit.
enum class RowUpdates {
  kAuto,       ///< the faster way: lazy, where the tables exceed the device's cache
  kLazy,       ///< a row is updated when a step next reads it: traffic for the rows of a batch
  kEveryStep,  ///< every row at every step: traffic for the whole tables
};

/// Dense Adam with coupled L2 over the whole arena: every element moves at every step, whether the
/// batch touched it or not. With lazy rows a row of a table makes these moves when it is next read,
/// and its gradient waits for them.
class Optimizer {
 public:
  /// @param parameters allocated; outlive the optimizer, and have no other one
  /// @param window the most steps between two calls of catch_up_all()
  Optimizer(const Parameters& parameters, AdamOptions options, RowUpdates row_updates,
            int64_t window, const Stream& stream);
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Returns whether rows are lazy.
  /// @param table_elements elements of all embedding tables
  static bool lazy(RowUpdates row_updates, int64_t table_elements);
  /// Returns the bytes of device memory that an optimizer takes.
  /// @param table_rows rows of all embedding tables
  static int64_t device_bytes(bool lazy, int64_t table_rows, int64_t window);

  /// Brings up to date the rows that a step is going to read, and some others in turn where
  /// adam_turns() says so; the rest may remain out of date.
  /// Neither allocates nor waits.
  void catch_up(std::span<const RowsRead> reads, const Stream& stream) const;
  /// Brings all rows up to date: the arena is as after the last step.
  void catch_up_all(const Stream& stream);
  /// Ends a step: adds the losses' terms and moves the cursors, as end_step() does, and updates the
  /// parameters by the accumulated gradients. These are zero afterwards, except those of lazy rows.
  /// Neither allocates nor waits.
  /// @throws std::logic_error beyond the window; steps that a graph repeats are not counted.
  void step(std::span<const LossTerms> losses, const BatchCursors& batch, const Stream& stream);

  /// Returns the number of steps taken. Waits for the stream.
  int64_t steps(const Stream& stream) const;
  /// Continues from a checkpoint, in which all rows are up to date.
  void set_steps(int64_t steps, const Stream& stream);

 private:
  struct Table {
    Entity of;
    AdamRows rows;
  };
  void make_lazy_tables();
  AdamHistory history() const { return {steps_.data(), corrections_.view()}; }
  bool lazy() const { return lazy_; }

  const Parameters& parameters_;
  AdamOptions options_;
  int64_t window_;
  bool lazy_;
  std::vector<Parameters::Range> every_step_;  // what step() updates
  DeviceArray<int64_t> steps_;                 // [1]
  DeviceArray<AdamCorrections> corrections_;   // of the latest steps
  DeviceArray<uint32_t> applied_;              // [lazy rows] updates of each row
  std::vector<Table> lazy_tables_;
  int64_t since_catch_up_ = 0;  // steps
};

}  // namespace derrd
