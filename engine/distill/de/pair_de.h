#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/distill/de/de.h"
#include "engine/distill/de/expert_mixture.h"
#include "engine/distill/loss.h"
#include "engine/models/model.h"
#include "engine/models/scorer.h"
#include "engine/training/parameters.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Distillation Experts (Section 4.1) for the vectors that a model makes of a user and an item
/// together, NeuMF's product beside its perceptron's output, or that output alone: M experts and a
/// gate rebuild those of the teacher over the batch's positive and negative pairs. L_DE is the sum
/// over the pairs.
class PairDeLoss final : public DistillationLoss {
 public:
  /// Adjacent columns of a joint vector.
  struct Columns {
    int64_t first = 0, count = 0;
  };

  /// Declares the experts and the gate ("de.pair.gate.weight", ...) in `parameters`.
  /// @param teacher outlives the loss
  /// @param student: its representations have pairs
  /// @param student_columns, teacher_columns which part of the joint vectors is rebuilt from which
  PairDeLoss(DeOptions options, JointVectors& teacher, const Model& student,
             Columns student_columns, Columns teacher_columns, Parameters& parameters);

  std::string_view name() const override { return "de"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override {
    if (experts_.begin_epoch(plan, stream)) step_changes();
  }
  void add_gradients(const EpochPlan& plan, Model& student, double* loss,
                     const Stream& stream) override;
  void end_epoch(const Stream& stream) override { experts_.end_epoch(stream); }
  /// The live part of the last epoch; empty before the first has ended.
  std::vector<double> state() const override;
  void restore(const std::vector<double>& state) override;
  /// "live_experts_pair": how many experts a pair had in the mean.
  std::vector<std::pair<std::string, double>> measurements() const override;

 private:
  JointVectors& teacher_;
  Columns student_columns_, teacher_columns_;
  ExpertBuffers buffers_;
  ExpertMixture experts_;
  int64_t capacity_;                                 // N, pairs of a batch at most
  DeviceArray<float> student_, grad_student_;        // [N, student columns]
  DeviceArray<float> teacher_joint_, teacher_part_;  // [N, joint], [N, teacher columns]
};

}  // namespace derrd
