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

  /// The key of its loss in logs: "de", "rrd".
  virtual std::string_view name() const = 0;
  /// What its loss is multiplied by in the sum of equation 11.
  double weight() const { return weight_; }
  void set_weight(double weight) { weight_ = weight; }

  /// Draws its samples of the epoch that `plan` has just begun.
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
  /// Reads what the epoch has measured; waits for it.
  virtual void end_epoch(const Stream&) {}

  /// What it carries from one epoch to the next besides its parameters and weight, for a
  /// checkpoint, and back.
  virtual std::vector<double> state() const { return {}; }
  /// @throws Error if `state` is not one of this loss's.
  virtual void restore(const std::vector<double>& state);
  /// Figures on the last epoch that its loss does not show, by name, for logs.
  virtual std::vector<std::pair<std::string, double>> measurements() const { return {}; }

 private:
  double weight_;
};

}  // namespace derrd
