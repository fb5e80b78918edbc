#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/device_dataset.h"
#include "engine/distill/conventions.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_option.h"
#include "engine/distill/ranking_samples.h"
#include "engine/memory_need.h"
#include "engine/models/model.h"
#include "engine/models/model_memory.h"
#include "engine/parameters.h"
#include "engine/teacher/teacher.h"
#include "engine/teacher/teacher_memory.h"

namespace derrd {

/// Inputs from which a run's losses are made. One context serves all of them, so that they share
/// the samples that it makes.
struct DistillContext {
  Teacher& teacher;
  const DeviceDataset& data;
  Model& student;
  Parameters& parameters;
  int64_t batch_size = 1024;
  Conventions conventions = conventions_of(Preset::kAuthors);
  const Stream& stream;

  /// Returns the largest number of distinct users in a batch.
  int64_t user_capacity() const { return std::min(batch_size, data.users()); }

  /// Returns items sampled for each user from the teacher's lists. They are made at the first
  /// request with these options, and refer to the teacher and the data.
  std::shared_ptr<RankingSamples> user_samples(const RankingSamplerOptions& options);

  /// All samples made so far, for user_samples() alone.
  std::vector<std::pair<RankingSamplerOptions, std::shared_ptr<RankingSamples>>> made_samples = {};
};

/// Memory of a run's losses, told as they are made from a DistillContext: each adds its parts, and
/// what losses share is added once.
struct DistillMemory {
  MemoryNeed& need;
  TeacherMemory teacher;
  DataSizes data;
  ModelSizes student;
  int64_t batch_size = 1024;
  Conventions conventions = conventions_of(Preset::kAuthors);

  SlotRoom room = {};            ///< of the student
  int64_t arena = 0;             ///< elements of the losses' parameters
  int64_t epoch_host = 0;        ///< the most host memory that drawing samples takes, in bytes
  int64_t gate_rows = 0;         ///< the most rows that a GateRecorder makes
  MemoryBytes gate_record = {};  ///< of the GateRecorder

  /// Returns the largest number of distinct users in a batch.
  int64_t user_capacity() const { return std::min(batch_size, data.users); }
  /// Adds samples [anchors, slots], which are sorted in every epoch.
  void add_samples(std::string name, int64_t device_bytes, int64_t anchors, int64_t slots);
  /// Adds the parts of SlotLosses, and reserves the student's slots.
  void add_slot_losses(const char* loss, int64_t capacity, int64_t slots);
  /// Adds samples as DistillContext::user_samples() makes them.
  void add_user_samples(const RankingSamplerOptions& options);

  /// Options of the samples that are told of, for add_user_samples() alone.
  std::vector<RankingSamplerOptions> told_samples = {};
};

/// A distillation loss as users know it: its name and its options, from which it makes the loss. A
/// new loss needs a factory in a file of this folder, and a line in catalogue.cpp.
class LossFactory {
 public:
  LossFactory() = default;
  LossFactory(const LossFactory&) = delete;
  LossFactory& operator=(const LossFactory&) = delete;
  virtual ~LossFactory() = default;

  /// Part of a method's name: "rrd".
  virtual std::string_view name() const = 0;
  /// Heading for its options in a help text.
  virtual std::string_view title() const = 0;
  /// Options to set; their values belong to this object. The first is the weight of the loss.
  const std::vector<LossOption>& options() { return options_; }
  /// Values of all options that the loss reads, another loss's options included.
  virtual OptionValues option_values() const { return values_of(options_); }
  /// Returns an error message if the options contradict each other.
  virtual std::optional<std::string> option_error() const { return std::nullopt; }
  /// Learns which losses are added to the base loss, this one among them: defaults of its options
  /// may depend on the others.
  virtual void join(const std::vector<const LossFactory*>& /*sum*/) {}
  /// Returns why the loss has no gate that chooses an expert for each user
  /// (DistillationLoss::user_gate()), and the cure; "" if no option gives it one; none if it has
  /// one.
  /// @param joint_vectors whether teacher and student have vectors of a user and an item together
  virtual std::optional<std::string> user_gate_error([[maybe_unused]] bool joint_vectors) const {
    return "";
  }
  /// Part of the teacher that the loss learns from.
  virtual TeacherPart needs() const = 0;
  /// Part of the base loss that the weighted loss should be (Section 5.4), by the student's kind;
  /// 0 where the paper recommends none.
  virtual double recommended_share(std::string_view) const { return 0; }
  /// Makes the loss. It may declare parameters, so call this before Parameters::allocate(). The
  /// teacher must have what needs() names.
  /// @throws Error if teacher or student does not fit the options.
  virtual std::unique_ptr<DistillationLoss> make(DistillContext& context) const = 0;
  /// Returns about the number of elements in the loss's largest matrix beside its samples; as a
  /// floating-point number, since with senseless options add_memory() would overflow.
  virtual double largest_matrix(double /*student_dim*/, double /*teacher_dim*/,
                                double /*batch_size*/) const {
    return 0;
  }
  /// Tells what memory make() and the loss take, in the same order.
  virtual void add_memory(DistillMemory& memory) const = 0;

 protected:
  std::vector<LossOption> options_;  // filled by the constructor
};

}  // namespace derrd
