#pragma once

#include <cstdint>

#include "engine/distill/de/experts_loss.h"
#include "engine/models/model.h"
#include "engine/models/scorer.h"
#include "engine/parameters.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Distillation Experts (Section 4.1) for joint vectors of a user and an item. NeuMF's joint vector
/// is its product followed by its perceptron's output; the output can also be rebuilt alone. M
/// experts and a gate rebuild the teacher's vectors from the student's for the batch's positive and
/// negative pairs. L_DE is the sum over the pairs.
class PairDeLoss final : public ExpertsLoss {
 public:
  /// Adjacent columns of a joint vector.
  struct Columns {
    int64_t first = 0, count = 0;
  };

  /// Declares the experts and the gate ("de.pair.gate.weight", ...) in `parameters`.
  /// @param weight lambda_DE
  /// @param teacher outlives the loss
  /// @param student a model whose representations have pairs
  /// @param student_columns, teacher_columns of the joint vectors: the teacher's are rebuilt from
  ///   the student's
  PairDeLoss(double weight, const ExpertOptions& options, JointVectors& teacher,
             const Model& student, Columns student_columns, Columns teacher_columns,
             Parameters& parameters);

  /// Returns the bytes of device memory that the loss takes, parameters not included.
  /// @param joint_dim length of the teacher's joint vectors
  static int64_t device_bytes(const ExpertShape& shape, int64_t joint_dim);

  /// Lists nothing: the model has read the tables to make its pairs' vectors.
  std::vector<RowsRead> reads(const EpochPlan&, const Stream&) override { return {}; }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;

 private:
  JointVectors& teacher_;
  Columns student_columns_, teacher_columns_;
  ExpertMixture& experts_;
  int64_t capacity_;                                 // N, pairs of a batch at most
  DeviceArray<float> student_, grad_student_;        // [N, student columns]
  DeviceArray<float> teacher_joint_, teacher_part_;  // [N, joint], [N, teacher columns]
  DeviceArray<float> loss_terms_;                    // [N]
};

}  // namespace derrd
