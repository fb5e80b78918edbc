#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/distill/temperature.h"
#include "engine/epoch_plan.h"
#include "engine/parameters.h"
#include "kernels/common/random_key.h"
#include "kernels/distill/experts.h"
#include "kernels/distill/gumbel_softmax.h"
#include "kernels/distill/reconstruction.h"
#include "kernels/models/linear.h"
#include "kernels/platform/gemm.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Way of mixing the experts' outputs for an entity.
enum class Gate {
  kGumbel,     ///< selected by Gumbel-Softmax on the teacher's vector (equations 5 and 7)
  kAttention,  ///< s = alpha: the same gate without noise (ablation (a) of Table 4)
  kMean,       ///< all alike, without a gate: one large expert (ablation (b))
};

/// Options of Distillation Experts.
struct ExpertOptions {
  int64_t experts = 30;  ///< M
  Gate gate = Gate::kGumbel;
  TemperatureSchedule temperature;
  /// Smallest selection weight that counts; experts with a smaller one are skipped. This is an
  /// approximation. In the output it is lost to rounding: an entity's weights add up to 1, and
  /// 1 + 2^-24 is 1 in float32. But the gate also loses its gradient through the skipped experts.
  /// At 0 only weights that underflow are skipped, which is exact.
  double floor = 0x1p-24;
  ReconstructionNorm norm = ReconstructionNorm::kSquared;
};

/// Returns the width of an expert's hidden layer: floor((D + T) / 2), or floor(D / 2) if D = T,
/// but at least 1.
int64_t expert_hidden_size(int64_t student_dim, int64_t teacher_dim);

/// Estimates the part of the selection weights that reaches `floor` at a temperature, for a gate
/// that prefers none of its many experts. As the gate learns preferences, the part shrinks.
double expected_active_share(float temperature, float floor, int64_t experts);

/// Chooses the way to compute the experts when this part of the pairs (entity, expert) is active.
ExpertPath expert_path(double active_share);

/// Matrices of one pass of a mixture over a batch's entities.
struct ExpertMemory {
  Matrix<float> reconstruction, grad_reconstruction;                          // [N, T]
  Matrix<float> logits, probability, selection, grad_selection, grad_logits;  // [N, E]
  ExpertsWorkspace workspace;
};

/// Device memory that mixtures share, sized for the largest of their passes that run together.
class ExpertBuffers {
 public:
  /// Returns the bytes of device memory that room for passes of these shapes takes.
  static int64_t device_bytes(const CallList<ExpertShape>& shapes);
  /// Makes room for passes of these shapes. Call it while losses are made.
  void reserve(const CallList<ExpertShape>& shapes);
  /// The memory of passes of these shapes: rows of one pass behind those of the pass before.
  CallList<ExpertMemory> deal(const CallList<ExpertShape>& shapes) const;

 private:
  DeviceArray<float> reconstruction_, grad_reconstruction_;
  DeviceArray<float> logits_, probability_, selection_, grad_selection_, grad_logits_;
  DeviceArray<float> workspace_floats_;
  DeviceArray<int32_t> workspace_integers_;
};

/// Entities of a batch that a mixture rebuilds.
struct ExpertPass {
  Matrix<const float> student;  ///< [N, D], finite also behind the batch's entities
  Matrix<const float> teacher;  ///< [N, T], finite also behind the batch's entities
  Matrix<float> grad_student;   ///< [N, D] overwritten; rows behind the entities hold no result
  Vector<float> loss;           ///< [N] overwritten; as it is until the step ends
  RowSegments rows;             ///< the entities; their numbers select their noise
  RandomPurpose noise = RandomPurpose::kGumbelUsers;
  float entity_weight = 1.0f;  ///< factor of each entity's loss and gradient
  float weight = 1.0f;         ///< DistillationLoss::weight(): in the gradient alone
  /// Flags by row of the entities' table; empty: all are included. An entity with 0 has neither
  /// loss nor gradients, and its teacher row must be 0.
  Vector<const uint8_t> included = {};
};

/// The operations of a pass, in the order of a training step.
struct ExpertStep {
  Product gate = {};  ///< without a gate empty, as are the gate's gradients
  GumbelSoftmaxForward select;
  ExpertsForward rebuild;
  ReconstructionCall compare;
  ExpertsBackward rebuild_backward;
  GumbelSoftmaxBackward select_backward;
  BiasGradient gate_bias = {};
  Product gate_weight = {};
};

/// A gate with its M experts: rebuilds the teacher's vectors of one kind of entity from the
/// student's (Section 4.1).
class ExpertMixture {
 public:
  /// Declares "<name>.gate.weight", ..., "<name>.expert.bias2".
  /// @param capacity no batch has more entities
  ExpertMixture(const std::string& name, ExpertOptions options, int64_t student_dim,
                int64_t teacher_dim, int64_t capacity, Parameters& parameters);

  /// Returns the elements that a mixture takes in the arena of Parameters.
  static int64_t arena(const ExpertOptions& options, int64_t student_dim, int64_t teacher_dim);

  /// The operations of a pass: gradients of gate and experts accumulate.
  ExpertStep step(const ExpertPass& pass, const ExpertMemory& memory, const EpochPlan& plan) const;

  /// Sets the epoch's temperature. Chooses the experts' path by the active share of the last epoch;
  /// in the first epoch by an estimate of it.
  void begin_epoch(const EpochPlan& plan, const Stream& stream);
  /// Reads the active share; waits for it.
  void end_epoch(const Stream& stream);

  /// Shape of a pass over up to `capacity` entities.
  ExpertShape shape(int64_t capacity) const {
    ExpertShape shape = shape_;
    shape.capacity = capacity;
    return shape;
  }
  const ExpertShape& shape() const { return shape_; }
  const ExpertOptions& options() const { return options_; }
  /// The gate's values [E, T] and [E]; not with Gate::kMean.
  Matrix<const float> gate_weight() const { return parameters_.value(gate_weight_); }
  Vector<const float> gate_bias() const { return parameters_.value(gate_bias_).flat(); }
  /// Part of the pairs (entity, expert) that were active in the last epoch; none before the first.
  std::optional<double> active_share() const { return active_share_; }
  void set_active_share(std::optional<double> part) { active_share_ = part; }

 private:
  /// Temperature of an epoch; 1 for attention and mean, which have none.
  float temperature(int epoch) const;

  ExpertOptions options_;
  ExpertShape shape_;
  const Parameters& parameters_;
  ParameterId gate_weight_, gate_bias_;            // [E, T], [1, E]; not with Gate::kMean
  ParameterId weight1_, bias1_, weight2_, bias2_;  // stacked: kernels/distill/experts.h
  DeviceArray<EpochState> epoch_;                  // [1]
  DeviceArray<PairCount> pairs_;                   // [1] of the current epoch
  std::optional<double> active_share_;             // of the last epoch
  ExpertPath path_ = ExpertPath::kStacked;
};

}  // namespace derrd
