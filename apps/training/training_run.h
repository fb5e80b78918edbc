#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/output_checks.h"
#include "apps/training/metrics_json.h"
#include "apps/training/training_options.h"
#include "data/dataset.h"
#include "engine/device_dataset.h"
#include "engine/distill/loss_factory.h"
#include "engine/teacher/teacher_data.h"
#include "engine/training/checkpoint.h"
#include "engine/training/trainer.h"
#include "kernels/platform/device.h"

namespace derrd {

/// What is trained, beside how (TrainingOptions).
struct Recipe {
  std::string model = "bpr";  ///< as make_model takes it
  int64_t dim = 0;
  int64_t layers = 1;                      ///< hidden layers, of a kind that has some
  std::vector<const LossFactory*> losses;  ///< they outlive the run; with any, a teacher
  std::optional<TeacherData> teacher;
  /// The teacher is a whole model whose rows were matched with the data set's, perhaps wrongly.
  bool aligned_model = false;
  bool balance = false;  ///< choose weights by LossFactory::recommended_share
  Json options;          ///< command, method and the method's own options, for the model's metadata
};

/// One run of `derrd train` or `derrd distill`: from files to a model file. A run that fails leaves
/// no file that it had not completed; what can be wrong is found before training starts.
class TrainingRun {
 public:
  /// Checks that the outputs can be written and destroy none of the inputs, opens the device and
  /// reads the data set.
  /// @param inputs further files that are read; the first that is named stands for the teacher.
  /// @throws Error, DeviceError.
  TrainingRun(TrainingOptions options, const std::vector<NamedFile>& inputs);

  const Dataset& dataset() const { return dataset_; }

  /// Trains, shows progress, keeps log and checkpoint, writes the model and prints a summary.
  /// @throws Error; Interrupted after a signal, when the best model so far is written.
  void train(Recipe recipe);

 private:
  /// Everything that determines the model, for its metadata.
  Json result_options(const Recipe& recipe) const;
  /// What has to agree for a checkpoint to be gone on with. The number of epochs may differ: no
  /// epoch depends on how many follow.
  std::string fingerprint(const Recipe& recipe, const std::string& teacher_hash) const;
  TrainOptions train_options() const;
  /// Says how well the teacher ranks by itself, by which one with misplaced rows is seen.
  void show_worth(Teacher& teacher);
  void resume(Trainer& trainer, const std::string& fingerprint) const;
  /// @param model what checkpoints say of the model to keep
  Trainer::Outcome run_epochs(Trainer& trainer, const std::string& fingerprint,
                              const std::function<ModelInArena()>& model) const;

  TrainingOptions options_;
  std::string teacher_;  // path, for messages
  Stream stream_;
  Dataset dataset_;
  DeviceDataset data_;
};

}  // namespace derrd
