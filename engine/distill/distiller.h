#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/batches.h"
#include "engine/models/model.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Which convention applies where the paper and its authors' program differ.
enum class Preset { kAuthors, kPaper };

/// A distillation loss. It sees the epoch's plan, the student's representations and its teacher's
/// data, and adds to the student's gradients; it does not know the other distillers, and the
/// trainer does not know which ones there are. Parameters of its own are declared in the
/// constructor.
class Distiller {
 public:
  virtual ~Distiller() = default;

  /// The key of its loss in logs: "de", "rrd".
  virtual std::string_view name() const = 0;
  /// What its loss is multiplied by in the sum of equation 11.
  virtual float weight() const = 0;

  /// Draws its samples of the epoch that `batches` has just begun.
  virtual void begin_epoch(const Batches& batches, const Stream& stream) = 0;
  /// Queues forward and backward of the current batch: the gradient of weight() times its loss
  /// accumulates in the arena, *loss grows by the unweighted loss. Neither allocates nor waits.
  virtual void add_gradients(const Batches& batches, const Representations& student, double* loss,
                             const Stream& stream) = 0;
  /// Reads what the epoch has measured; waits for it.
  virtual void end_epoch(const Stream&) {}

  /// What it carries from one epoch to the next besides its parameters, for a checkpoint, and back.
  virtual std::vector<double> state() const { return {}; }
  /// @throws Error if `state` is not one of this distiller's.
  virtual void restore(const std::vector<double>& state);
  /// Figures on the last epoch that its loss does not show, by name, for logs.
  virtual std::vector<std::pair<std::string, double>> measurements() const { return {}; }
};

/// tau(p) = start (end / start)^(p / horizon): the schedule of the experts' selection
/// (Section 4.1.3).
struct TemperatureSchedule {
  double start = 1.0;
  double end = 1e-10;
  int horizon = 1000;  ///< P, the largest number of epochs
  int lag = 0;         ///< epochs by which it is late; 1 in the authors' program
  int offset = 0;      ///< epochs by which it is ahead: to time a late epoch first

  float at(int epoch) const;
};

}  // namespace derrd
