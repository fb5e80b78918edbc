#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "apps/training/epoch_log.h"
#include "apps/training/metrics_json.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "engine/device_dataset.h"
#include "engine/distill/gate_recorder.h"
#include "engine/distill/loss_factory.h"
#include "engine/teacher/teacher_data.h"
#include "engine/training/checkpoint.h"
#include "engine/training/trainer.h"
#include "engine/training/training_memory.h"
#include "kernels/platform/device.h"

namespace derrd {

/// Task of a training: the model and its losses. TrainingOptions say how to train.
struct TrainingTask {
  std::string model = "bpr";  ///< as make_model takes it
  int64_t dim = 0;
  int64_t layers = 1;                      ///< hidden layers of a NeuMF
  std::vector<const LossFactory*> losses;  ///< outlive the run; a loss needs a teacher
  std::optional<TeacherData> teacher;
  /// True if the teacher is a model whose rows were matched with the data set's, perhaps wrongly.
  bool aligned_model = false;
  bool balance = false;  ///< choose weights by LossFactory::recommended_share
  Json options;          ///< command, method and the method's own options, for the model's metadata
};

/// Runs `derrd train` or `derrd distill`, from files to a model file. A run that fails leaves no
/// incomplete file. Mistakes in options and files are found before training starts.
class TrainingRun {
 public:
  /// Checks that the outputs can be written and destroy none of the inputs, opens the device,
  /// checks that there is memory to read the inputs, and reads the data set.
  /// @param inputs further files that are read; the first one with a path is the teacher's.
  /// @throws UsageError if two options name one file; Error if a file can't be read or written;
  /// DeviceError if there is no device.
  TrainingRun(TrainingOptions options, const std::vector<NamedFile>& inputs);

  const Dataset& dataset() const { return dataset_; }

  /// Trains, shows progress, writes log and checkpoints, writes the model and prints a summary.
  /// With --dry-run prints the memory that this takes instead.
  /// @throws Error if the memory is not there, training diverges or a file can't be written;
  /// Interrupted after a signal, when the best model so far has been written.
  void train(TrainingTask task);

 private:
  bool has_validation() const { return dataset_.valid.num_interactions() > 0; }
  /// All options that determine the model, for its metadata.
  Json result_options(const TrainingTask& task) const;
  /// Describes all that must be equal for a checkpoint to be resumed. The number of epochs may
  /// differ: no epoch depends on how many follow.
  std::string fingerprint(const TrainingTask& task, const std::string& teacher_hash) const;
  TrainingSizes sizes(const TrainingTask& task) const;
  /// Says how much memory the task takes. @throws Error if it is more than is available.
  void tell_memory(const TrainingTask& task) const;
  /// Copies the data set to the device.
  void open_data();
  TrainOptions train_options() const;
  /// Prints the teacher's own H\@5, so that misaligned rows are noticed.
  void print_teacher_quality(Teacher& teacher);
  /// Makes the losses of a task. @throws Error that names the teacher.
  std::vector<std::unique_ptr<DistillationLoss>> make_losses(const TrainingTask& task,
                                                             DistillContext context) const;
  /// Continues from the checkpoint, if there is one and --resume asks for it. @throws Error if it
  /// belongs to another run, has more epochs than --epochs, or was made by a program with other
  /// bits and --resume-anyway doesn't accept that, or lacks the rows of --snapshot-gate.
  /// @return these rows; null: there are none so far
  std::shared_ptr<GateRows> resume(Trainer& trainer, const std::string& fingerprint);
  /// Trains, writing log and checkpoints.
  /// @param model describes the model to keep, for checkpoints
  /// @param gate gets a row before the first epoch and after every one; null: nobody records
  Trainer::Outcome run_epochs(Trainer& trainer, const std::string& fingerprint,
                              const std::function<ModelInArena()>& model, GateRecorder* gate) const;
  /// Prints how the training ended and what it wrote. @throws Interrupted if a signal ended it.
  void print_summary(const TrainingTask& task, const Trainer& trainer, Trainer::Outcome outcome,
                     int64_t model_parameters) const;

  TrainingOptions options_;
  std::unique_ptr<EpochLog> log_;  // null without --log
  std::string teacher_;            // path, for messages
  Stream stream_;
  AvailableMemory available_;         // before anything is read
  int64_t teacher_bytes_;             // of its files
  Dataset dataset_;                   // without candidates once the device has them
  std::optional<StopMetric> metric_;  // none: the preset's rule decides
  std::optional<DeviceDataset> data_;
  std::optional<WatchedMetric> watched_;
  std::string made_by_;   // programs that trained, the last one this
  std::string log_hash_;  // of the log that the checkpoint belongs to
};

}  // namespace derrd
