#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/distill/user_gate.h"
#include "engine/epoch_plan.h"
#include "engine/models/model.h"
#include "kernels/platform/device.h"

namespace derrd {

/// A distillation loss at work. It sees the epoch's plan, the student's representations or scores
/// and its teacher's data, and adds to the student's gradients. It does not know other losses, and
/// the trainer does not know which losses exist. The constructor declares the loss's own
/// parameters.
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
  /// current batch, as batch_rows() and slot_batch_rows() do. Called once at the beginning of every
  /// step; may queue launches that find these rows, but neither allocates nor waits. A loss that
  /// reads other rows learns from old values; the checking executor overwrites those rows with an
  /// absurd number during the step.
  virtual std::vector<RowsRead> reads(const EpochPlan& plan, const Stream& stream) = 0;
  /// Queues the loss's forward and backward pass for the current batch, between the student's two
  /// passes. The gradient of weight() times the loss accumulates; `loss` grows by the unweighted
  /// loss. Neither allocates nor waits.
  virtual void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                             const Stream& stream) = 0;
  /// Reads the epoch's measurements; waits for them.
  virtual void end_epoch(const Stream&) {}

  /// Returns the loss's state between epochs, for a checkpoint, besides parameters and weight.
  virtual std::vector<double> state() const { return {}; }
  /// Takes back what state() returned.
  /// @throws Error if `state` does not belong to this loss.
  virtual void restore(const std::vector<double>& state);
  /// Returns further figures of the last epoch, by name, for logs.
  virtual std::vector<std::pair<std::string, double>> measurements() const { return {}; }
  /// Returns the gate that chooses an expert for each user; none if the loss has no such gate.
  /// Called after Parameters::allocate(); valid as long as the loss, its teacher and the
  /// parameters.
  virtual std::optional<UserGate> user_gate() const { return std::nullopt; }

 private:
  double weight_;
};

}  // namespace derrd
