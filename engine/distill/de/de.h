#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/distill/de/expert_mixture.h"
#include "engine/distill/loss.h"
#include "engine/models/model.h"
#include "engine/models/model_file.h"
#include "engine/teacher/teacher.h"
#include "engine/training/parameters.h"
#include "kernels/common/random_key.h"
#include "kernels/platform/memory.h"

namespace derrd {

struct DeOptions {
  double weight = 1e-2;   ///< lambda_DE
  ExpertOptions experts;  ///< for users and for items each, or for pairs
};

/// Distillation Experts (Section 4.1, equations 4 to 8) for separate vectors of users and items: M
/// experts and a gate for each kind rebuild the teacher's vectors from the student's. L_DE = sum
/// over the batch's distinct users
/// + (sum over its distinct positive items + sum over its distinct negative items) / 2. Whom the
/// teacher has no vector of is left out.
class DeLoss final : public DistillationLoss {
 public:
  /// Declares the experts and gates ("de.user.gate.weight", ...) in `parameters`.
  /// @param capacity no batch has more distinct users or items
  DeLoss(DeOptions options, const TeacherVectorsView& teacher, const Model& student,
         int64_t capacity, Parameters& parameters, const Stream& stream);

  std::string_view name() const override { return "de"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  void add_gradients(const EpochPlan& plan, Model& student, double* loss,
                     const Stream& stream) override;
  void end_epoch(const Stream& stream) override;
  /// The live parts of the last epoch, users and items; empty before the first has ended.
  std::vector<double> state() const override;
  void restore(const std::vector<double>& state) override;
  /// "live_experts_user" and "live_experts_item": how many experts an entity had in the mean.
  std::vector<std::pair<std::string, double>> measurements() const override;

 private:
  /// The experts of one kind of entity, and the teacher's vectors that they rebuild.
  struct Side {
    ExpertMixture experts;
    DeviceArray<float> teacher;     // [rows, T]
    DeviceArray<uint8_t> included;  // [rows] whether the teacher has the vector; empty: all
    int64_t rows;
  };
  /// Distinct rows of a batch that are rebuilt together.
  struct Pass {
    RowSegments rows;
    RandomPurpose noise;
    float loss_weight;
  };

  void add_gradients(Side& side, const std::vector<VectorTable>& student, const Pass& pass,
                     const EpochPlan& plan, double* loss, const Stream& stream);

  DeOptions options_;
  ExpertBuffers buffers_;
  Side users_, items_;
  // One pass at a time uses these, [capacity, ...].
  DeviceArray<float> student_, grad_student_;  // D
  DeviceArray<float> teacher_;                 // T
};

}  // namespace derrd
