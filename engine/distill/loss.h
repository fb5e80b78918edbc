#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/models/model.h"
#include "engine/training/epoch_plan.h"
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
  void set_weight(double weight) {
    if (weight != weight_) step_changes();
    weight_ = weight;
  }
  /// Changes whenever add_gradients() will queue other launches than before, or the same with other
  /// arguments: recorded steps are good for one revision only.
  int64_t revision() const { return revision_; }

  /// Draws its samples of the epoch that `plan` has just begun.
  virtual void begin_epoch(const EpochPlan& plan, const Stream& stream) = 0;
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

 protected:
  void step_changes() { ++revision_; }

 private:
  double weight_;
  int64_t revision_ = 0;
};

}  // namespace derrd
