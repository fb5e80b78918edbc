#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/epoch_plan.h"
#include "engine/evaluation/early_stopping.h"
#include "engine/evaluation/evaluator.h"
#include "engine/evaluation/stop_metric.h"
#include "engine/models/model.h"
#include "engine/parameters.h"
#include "engine/training/checkpoint.h"
#include "engine/training/loss_balance.h"
#include "engine/training/optimizer.h"
#include "engine/training/step_graph.h"
#include "engine/training/unread_rows.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Options of a training.
struct TrainOptions {
  AdamOptions adam = {.weight_decay = 1e-3f};
  RowUpdates row_updates = RowUpdates::kAuto;
  /// Way of queueing steps; results agree to the bit.
  StepGraph::Mode graph = StepGraph::Mode::kRecorded;
  BatchOptions plan;
  int epochs = 1000;
  int patience = 20;
  StoppingRule stopping = StoppingRule::kEachCutoff;
  WatchedMetric* watched = nullptr;  ///< decides instead of the rule; outlives the trainer
  BalanceOptions balance;
};

/// Record of one epoch.
struct EpochRecord {
  int epoch = 0;
  /// Sum over the epoch of each unweighted loss, the base loss first.
  std::vector<std::pair<std::string, double>> losses;
  /// Weighted sum of each distillation loss divided by the base loss, by the loss's name.
  std::vector<std::pair<std::string, double>> shares;
  /// Weights that were chosen after this epoch, by the loss's name.
  std::vector<std::pair<std::string, double>> chosen_weights;
  /// Figures that the losses measured besides their sums, by name.
  std::vector<std::pair<std::string, double>> measurements;
  Evaluation evaluation;
  /// The validation metric that decides which epoch is best, and its value; none without
  /// validation items.
  std::optional<std::pair<std::string, double>> decisive;
  bool best = false;  ///< the best by that metric so far, or nobody has a validation item
  struct Seconds {
    double prepare = 0, train = 0, evaluate = 0;
  } seconds;
};

/// Trains a model, with or without distillation losses. Each epoch is planned, trained in steps and
/// evaluated. Training may stop early; the best epoch's model is kept. All references that the
/// constructor takes must outlive the trainer.
class Trainer {
 public:
  Trainer(const DeviceDataset& data, Parameters& parameters, Model& model,
          const std::vector<std::unique_ptr<DistillationLoss>>& losses, TrainOptions options,
          const Stream& stream);

  enum class Outcome { kFinished, kStoppedEarly, kInterrupted };

  /// Trains until the last epoch has ended, until early stopping, or until `interrupted`, called
  /// before every epoch, returns true. Calls `on_epoch` after every epoch.
  /// @throws Error if a loss or a score is not finite.
  Outcome run(const std::function<void(const EpochRecord&)>& on_epoch,
              const std::function<bool()>& interrupted);

  /// Begins an epoch: makes its plan, draws the losses' samples. run() calls begin_epoch(), step()
  /// and end_epoch().
  void begin_epoch(int epoch);
  /// Takes one training step with the epoch's next batch: forward, backward, Adam. Must not be
  /// called again after the epoch's last batch. Neither allocates nor waits.
  void step();
  /// Ends an epoch: brings all rows of the tables up to date, for whoever reads the parameters.
  void end_epoch();

  /// Makes the best epoch's values the current ones. There must be a best epoch.
  void restore_best();

  /// Returns the whole state between epochs.
  Checkpoint checkpoint() const;
  /// Continues from a checkpoint.
  /// @throws Error if its arena has another size, or it lacks or refuses the state of a loss.
  void restore(const Checkpoint& checkpoint);

  const EarlyStopping& early_stopping() const { return early_stopping_; }
  int next_epoch() const { return next_epoch_; }
  const EpochPlan& plan() const { return plan_; }

 private:
  EpochRecord run_epoch();
  void read_rows();
  void record_losses(EpochRecord& record);

  Parameters& parameters_;
  Model& model_;
  const std::vector<std::unique_ptr<DistillationLoss>>& losses_;
  TrainOptions options_;
  const Stream& stream_;
  EpochPlan plan_;
  Optimizer optimizer_;
  UnreadRows unread_rows_;
  StepGraph steps_;
  Evaluator evaluator_;
  EarlyStopping early_stopping_;
  LossSums loss_sums_;              // the base loss, then each loss's
  DeviceArray<float> best_values_;  // the arena at the best epoch
  int next_epoch_ = 0;
  TimeMark epoch_began_, steps_began_;
};

}  // namespace derrd
