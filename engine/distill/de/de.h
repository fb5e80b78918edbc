#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/distill/de/experts_loss.h"
#include "engine/models/model.h"
#include "engine/models/scorer.h"
#include "engine/parameters.h"
#include "engine/teacher/teacher.h"
#include "kernels/common/random_key.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Distillation Experts (Section 4.1, equations 4 to 8) for separate vectors of users and items: M
/// experts and a gate for each kind rebuild the teacher's vectors from the student's.
///   L_DE = sum over the batch's distinct users
///        + (sum over its distinct positive items + sum over its distinct negative items) / 2
/// Users and items without a teacher vector are skipped.
class DeLoss final : public ExpertsLoss {
 public:
  /// Declares the experts and gates ("de.user.gate.weight", ...) in `parameters`.
  /// @param weight lambda_DE
  /// @param teacher its vectors outlive the loss
  /// @param capacity no batch has more distinct users or items
  DeLoss(double weight, const ExpertOptions& options, const TeacherVectorsView& teacher,
         const Model& student, int64_t capacity, Parameters& parameters);

  /// Returns the bytes of device memory that the loss takes, parameters not included.
  static int64_t device_bytes(const ExpertShape& user, const ExpertShape& item);

  std::vector<RowsRead> reads(const EpochPlan& plan, const Stream&) override {
    return batch_rows(plan);
  }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;
  std::optional<UserGate> user_gate() const override;

 private:
  /// The experts of one kind of entity, and the teacher's vectors that they rebuild.
  struct Side {
    ExpertMixture& experts;
    EmbeddingTables teacher;
    Vector<const uint8_t> included;  // [rows] whether the teacher has the vector; empty: all
  };
  /// Distinct rows of a batch that are rebuilt.
  struct Rows {
    const Side* side = nullptr;
    const std::vector<VectorTable>* student = nullptr;
    RowSegments rows;
    Vector<float> loss;
    RandomPurpose noise = RandomPurpose::kGumbelUsers;
    float entity_weight = 1.0f;
  };

  void rebuild_rows(const CallList<Rows>& passes, const EpochPlan& plan, LossSum loss,
                    const Stream& stream);

  Side users_, items_;
  // Passes that run together lie behind one another, [capacity, ...] each.
  DeviceArray<float> student_, grad_student_;  // D
  DeviceArray<float> teacher_;                 // T
  DeviceArray<float> loss_terms_;              // of all passes
};

}  // namespace derrd
