#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/distill/distiller.h"
#include "engine/parameters.h"
#include "engine/teacher.h"
#include "kernels/experts.h"
#include "kernels/platform/memory.h"
#include "kernels/random_key.h"

namespace derrd {

struct DeOptions {
  float weight = 1e-2f;  ///< lambda_DE
  int64_t experts = 30;  ///< M, for users and for items each
  /// Selection weights below it count as 0 and their experts are skipped: an approximation. A
  /// user's weights add up to 1, and 1 + 2^-24 is 1 in float32, but a skipped expert's gate also
  /// loses its share of the gradient. At 0 only weights that underflow are skipped, exactly.
  float floor = 0x1p-24f;
  Preset preset = Preset::kAuthors;
};

/// Width of an expert's hidden layer: floor((D + T) / 2), or floor(D / 2) where student and teacher
/// are of one size.
int64_t expert_hidden_size(int64_t student_dim, int64_t teacher_dim);

/// Part of the selection weights that reaches the floor at a temperature, in the mean, while the
/// gate prefers none of its many experts. As it learns to, more of them vanish.
double expected_live_part(float temperature, float floor, int64_t experts);

/// How the experts are best computed if this part of the pairs (entity, expert) is live.
ExpertPath expert_path(double live_part);

/// Distillation Experts (Section 4.1, equations 4 to 8) for separate vectors of users and items: M
/// experts and a gate for each kind rebuild the teacher's vectors from the student's. L_DE = sum
/// over the batch's distinct users
/// + (sum over its distinct positive items + sum over its distinct negative items) / 2.
class DeDistiller final : public Distiller {
 public:
  /// Declares the experts and gates ("de.user.gate.weight", ...) in `parameters`.
  /// @param capacity no batch has more distinct users or items
  DeDistiller(DeOptions options, const Embeddings& teacher, int64_t student_dim, int64_t capacity,
              Parameters& parameters, const Stream& stream);

  std::string_view name() const override { return "de"; }
  float weight() const override { return options_.weight; }
  /// Chooses the experts' path by the live part of the last epoch, before the first by what is
  /// expected of it.
  void begin_epoch(const Batches& batches, const Stream& stream) override;
  void add_gradients(const Batches& batches, const Representations& student, double* loss,
                     const Stream& stream) override;
  void end_epoch(const Stream& stream) override;
  /// The live parts of the last epoch, users and items; empty before the first has ended.
  std::vector<double> state() const override;
  void restore(const std::vector<double>& state) override;
  /// "live_experts_user" and "live_experts_item": how many experts an entity had in the mean.
  std::vector<std::pair<std::string, double>> measurements() const override;

 private:
  /// A gate with its experts, and the teacher's vectors that they rebuild.
  struct Side {
    ParameterId gate_weight, gate_bias;          // [E, T], [1, E]
    ParameterId weight1, bias1, weight2, bias2;  // stacked: kernels/experts.h
    DeviceArray<float> teacher;                  // [U or I, T]
    int64_t rows = 0;
    DeviceArray<PairCount> pairs;     // [1] of the current epoch
    std::optional<double> live_part;  // of the last epoch
    ExpertPath path = ExpertPath::kStacked;
  };
  /// Distinct rows of a batch that are rebuilt together.
  struct Pass {
    RowSegments rows;
    Matrix<const float> student;
    Matrix<float> grad_student;
    RandomPurpose noise;
    float loss_weight;
  };

  Side declare(const char* name, Parameters& parameters) const;
  void add_gradients(const Side& side, const Pass& pass, const Batches& batches, double* loss,
                     const Stream& stream);

  DeOptions options_;
  ExpertShape shape_;
  const Parameters& parameters_;
  Side users_, items_;

  // One pass at a time uses these, [capacity, ...].
  DeviceArray<float> student_, grad_student_;                          // D
  DeviceArray<float> teacher_, reconstruction_, grad_reconstruction_;  // T
  DeviceArray<float> logits_, probability_, selection_;                // E
  DeviceArray<float> grad_selection_, grad_logits_;                    // E
  DeviceArray<float> loss_terms_;                                      // 1
  DeviceArray<float> workspace_floats_;
  DeviceArray<int32_t> workspace_integers_;
};

}  // namespace derrd
