#pragma once

#include <cstdint>
#include <string>

#include "apps/metrics_json.h"
#include "apps/training_options.h"
#include "data/dataset.h"
#include "engine/device_dataset.h"
#include "engine/distill/catalogue.h"
#include "engine/teacher.h"
#include "engine/trainer.h"
#include "kernels/platform/device.h"

namespace derrd {

/// What is trained, beside how (TrainingOptions).
struct Recipe {
  int64_t dim = 0;
  std::string method = "none";  ///< as make_distillers takes it
  DistillOptions distill;
  TemperatureSchedule temperature;
  const Embeddings* teacher = nullptr;  ///< null: none
  Json options;  ///< command, method and the method's own options, for the model's metadata
};

/// One run of `derrd train` or `derrd distill`: from files to a model file. A run that fails leaves
/// no file that it had not completed; what can be wrong is found before training starts.
class TrainingRun {
 public:
  /// Checks that the outputs can be written and destroy none of the inputs, opens the device and
  /// reads the data set.
  /// @param teacher path of a further input; empty: none.
  /// @throws Error, DeviceError.
  TrainingRun(TrainingOptions options, const std::string& teacher);

  const Dataset& dataset() const { return dataset_; }

  /// Trains, shows progress, keeps log and checkpoint, writes the model and prints a summary.
  /// @throws Error; Interrupted after a signal, when the best model so far is written.
  void train(const Recipe& recipe);

 private:
  /// Everything that determines the model, for its metadata.
  Json result_options(const Recipe& recipe) const;
  /// What has to agree for a checkpoint to be gone on with. The number of epochs may differ: no
  /// epoch depends on how many follow.
  std::string fingerprint(const Recipe& recipe, const std::string& teacher_hash) const;
  TrainOptions train_options(const Recipe& recipe) const;
  void resume(Trainer& trainer, const std::string& fingerprint) const;
  Trainer::Outcome run_epochs(Trainer& trainer, const std::string& fingerprint) const;

  TrainingOptions options_;
  std::string teacher_;  // path, for messages
  Stream stream_;
  Dataset dataset_;
  DeviceDataset data_;
};

}  // namespace derrd
