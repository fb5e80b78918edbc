#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apps/experiments/recipe.h"
#include "apps/experiments/run.h"

namespace derrd {

/// Raw interactions and how to treat them.
struct DataSource {
  std::string name;  ///< "citeulike"
  std::filesystem::path file;
  RecipeFile recipe;
  std::string hash;  ///< of the file
};

/// A student's size where the paper's tables name none.
inline constexpr double kPaperSize = 0.1;

/// Which training is meant.
struct TrainingName {
  std::string data_set;
  int split = 0;
  std::string model;         ///< "bpr", "neumf"
  std::string method;        ///< a table of the recipe: "teacher", "student", "de-rrd", ...
  double size = kPaperSize;  ///< of a student, as a part of the teacher's; a teacher's is this one

  auto operator<=>(const TrainingName&) const = default;
};

/// The runs that tables and searches need, each once and after those that it needs.
class Plan {
 public:
  /// @param seed of the trainings; split s gets seed + s.
  Plan(std::filesystem::path work, uint64_t seed) : work_(std::move(work)), seed_(seed) {}

  /// These add a run unless it is there, and return its index.
  /// @throws Error if the recipe doesn't fit.
  size_t data_set(const DataSource& source, int split);
  size_t training(const DataSource& source, const TrainingName& name);
  /// A training with some options changed, of which only the first epochs may be wanted.
  struct Variant {
    Options changes;
    int epochs = 0;  ///< 0: all
  };
  size_t training(const DataSource& source, const TrainingName& name, const Variant& variant);
  /// Measures how long recommending with a trained model takes.
  size_t timing(const DataSource& source, const TrainingName& name);

  const std::vector<Run>& runs() const { return runs_; }
  /// Trainings without changed options.
  const std::map<TrainingName, size_t>& trainings() const { return trainings_; }
  const std::map<TrainingName, size_t>& timings() const { return timings_; }

 private:
  /// An option that takes a file, and the file's name in the run's folder.
  using FileOption = std::pair<const char*, const char*>;
  size_t add(Run run, const std::vector<std::string>& determinants,
             const std::vector<FileOption>& outputs);

  std::filesystem::path work_;
  uint64_t seed_;
  std::vector<Run> runs_;
  std::map<TrainingName, size_t> trainings_, timings_;
};

/// The run's command, key and state for the eye, a line each, and how long the rest would take.
std::string describe(const std::vector<Run>& runs, int jobs);

}  // namespace derrd
