#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apps/experiments/experiment_run.h"
#include "apps/experiments/recipe.h"

namespace derrd {

/// Raw interactions with their recipe.
struct DataSource {
  std::string name;  ///< "citeulike"
  std::filesystem::path file;
  RecipeFile recipe;
  std::string hash;  ///< hash of the file
};

/// A student's dimension as a part of its teacher's, in the tables that name none.
inline constexpr double kPaperSize = 0.1;

/// Identifies a training.
struct TrainingName {
  std::string data_set;
  int split = 0;
  std::string model;         ///< "bpr", "neumf"
  std::string method;        ///< a table of the recipe: "teacher", "student", "de-rrd", ...
  double size = kPaperSize;  ///< a student's dimension / its teacher's; kPaperSize for teachers
  std::map<std::string, std::string> changes = {};  ///< options that replace the recipe's
  bool records_gate = false;  ///< whether it leaves a gate record, which large data makes large

  auto operator<=>(const TrainingName&) const = default;
};

/// Collects the runs of tables and searches. Each run is listed once, after the runs that it needs.
class RunPlan {
 public:
  /// @param seed base seed of the trainings; split s trains with seed + s
  RunPlan(std::filesystem::path work, uint64_t seed) : work_(std::move(work)), seed_(seed) {}

  /// Adds the preparation of a data set, unless it is there. Returns the run's index.
  /// @throws Error if the recipe doesn't fit.
  size_t data_set(const DataSource& source, int split);
  /// Adds a training, and all runs that it needs, unless they are there. Returns the run's index.
  /// @throws Error if the recipe doesn't fit.
  size_t training(const DataSource& source, const TrainingName& name);
  /// Adds a training that pauses after some epochs, as training() does. @throws Error as above.
  size_t training_up_to(int epochs, const DataSource& source, const TrainingName& name);
  /// Adds the evaluation of a trained model for each user. Returns the run's index.
  /// @throws Error as training().
  size_t user_metrics(const DataSource& source, const TrainingName& name);
  /// Adds a measurement of the time that recommending with a trained model takes. Returns the run's
  /// index. @throws Error as training().
  size_t timing(const DataSource& source, const TrainingName& name);

  const std::vector<ExperimentRun>& runs() const { return runs_; }
  /// Indices of the preparations, by data set and split.
  const std::map<std::pair<std::string, int>, size_t>& data_sets() const { return data_sets_; }
  /// Indices of the trainings to their end, and of the timings and evaluations of their models.
  const std::map<TrainingName, size_t>& trainings() const { return trainings_; }
  const std::map<TrainingName, size_t>& timings() const { return timings_; }
  const std::map<TrainingName, size_t>& user_metrics() const { return user_metrics_; }

 private:
  /// Option that names a file, and the file's name in the run's folder.
  using FileOption = std::pair<const char*, const char*>;
  size_t add(ExperimentRun run, const std::vector<std::string>& determinants,
             const std::vector<FileOption>& outputs);

  std::filesystem::path work_;
  uint64_t seed_;
  std::vector<ExperimentRun> runs_;
  std::map<std::pair<std::string, int>, size_t> data_sets_;
  std::map<TrainingName, size_t> trainings_, timings_, user_metrics_;
};

/// Lists every run's state, folder and command for people to read.
/// @param with_memory also the memory of unfinished trainings whose inputs are there; asks each
std::string describe(const std::vector<ExperimentRun>& runs, bool with_memory = false);

}  // namespace derrd
