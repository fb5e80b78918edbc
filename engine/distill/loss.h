#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/epoch_plan.h"
#include "engine/models/model.h"
#include "kernels/platform/device.h"

namespace derrd {

/// A distillation loss at work. It sees the epoch's plan, the student's representations or scores
/// and its teacher's data, and adds to the student's gradients; it does not know the other
/// losses, and the trainer does not know which ones there are. Parameters of its own are
/// declared in the constructor.
class DistillationLoss {
 public:
  explicit DistillationLoss(double weight) : weight_(weight) {}
  virtual ~DistillationLoss() = default;

  /// Returns the loss's key in logs: "de", "rrd".
  virtual std::string_view name() const = 0;
  /// Returns the loss's factor in the sum of equation 11 (lambda).
  double weight() const { return weight_; }
  void set_weight(double weight) { weight_ = weight; }

  /// Draws the loss's samples of the epoch that `plan` has just begun.
  virtual void begin_epoch(const EpochPlan& plan, const Stream& stream) = 0;
  /// Lists the rows of the student's embedding tables whose values add_gradients() reads for the
  /// current batch, such as batch_rows() and slot_batch_rows(). Called once at the beginning of
  /// every step; may queue the launches that find these rows, which neither allocate nor wait.
  /// Rows that no list names may be out of date, and the loss would learn from old values: the
  /// checking executor overwrites them with an absurd number for the step.
  virtual std::vector<RowsRead> reads(const EpochPlan& plan, const Stream& stream) = 0;
  /// Queues forward and backward of the current batch, between those of the student: the gradient
  /// of weight() times its loss accumulates, *loss grows by the unweighted loss. Neither allocates
  /// nor waits.
  virtual void add_gradients(const EpochPlan& plan, Model& student, double* loss,
                             const Stream& stream) = 0;
  /// Reads the epoch's measurements; waits for them.
  virtual void end_epoch(const Stream&) {}

  /// Returns the loss's state between epochs, for a checkpoint, besides parameters and weight.
  virtual std::vector<double> state() const { return {}; }
  /// Takes back what state() returned.
  /// @throws Error if `state` is not of this loss.
  virtual void restore(const std::vector<double>& state);
  /// Returns further figures of the last epoch, by name, for logs.
  virtual std::vector<std::pair<std::string, double>> measurements() const { return {}; }

 private:
  double weight_;
};

}  // namespace derrd
