#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/models/model.h"
#include "engine/models/neumf_scorer.h"
#include "engine/models/neumf_slots.h"
#include "engine/models/perceptron.h"
#include "engine/parameters.h"
#include "kernels/models/neumf_joint.h"
#include "kernels/models/neumf_pairs.h"

namespace derrd {

/// Sizes of a NeuMF.
struct NeumfShape {
  int64_t users = 0, items = 0;
  int64_t dim = 0;     ///< D, of each of the four kinds of vectors
  int64_t layers = 1;  ///< hidden layers of the perceptron
};

/// NeuMF (He et al., WWW'17): the score of a pair is a linear function of its joint vector. This is
/// the product of the user's and the item's vector, followed by the output of a perceptron on two
/// further vectors, one of the user and one of the item. Loss: binary cross entropy, summed over
/// the batch's positive and negative pairs.
class NeumfModel final : public Model {
 public:
  /// Declares the tables and layers in `parameters`, and allocates the memory of a batch.
  /// @throws Error if a hidden layer has no unit.
  NeumfModel(NeumfShape shape, int64_t batch_size, Parameters& parameters);

  static ModelMemory memory(const ModelSizes& sizes, const ModelUse& use);

  std::string_view kind() const override { return "neumf"; }
  std::vector<RowsRead> reads(const EpochPlan& plan) const override { return batch_rows(plan); }
  void forward(const EpochPlan& plan, LossSum loss, const Stream& stream) override;
  void backward(const EpochPlan& plan, const Stream& stream) override;
  Representations representations() const override;
  void reserve_slots(int64_t anchors, int64_t slots) override { slots_.reserve(anchors, slots); }
  void score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                   const Stream& stream) override;
  void add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                          const SlotIndex& index, Entity anchor, const Stream& stream) override;
  std::vector<NamedMatrix> tensors() const override;
  Scorer& scorer(const Stream& stream) override;

 private:
  struct Layer {
    ParameterId weight, bias;
  };
  struct Side {
    ParameterId gmf, mlp, weight;
  };
  TrainedMatrix trained(ParameterId id) const {
    return {parameters_.value(id), parameters_.gradient(id)};
  }
  TrainedSide trained(const Side& side) const {
    return {trained(side.gmf), trained(side.mlp), trained(side.weight)};
  }
  TrainedNeumf trained() const;
  PairBuffers pairs() const;
  ActiveRows active() const { return {&pair_cursor_.data()->count}; }
  NeumfJointCall joint_call(const TrainedNeumf& model) const;

  const Parameters& parameters_;
  NeumfShape shape_;
  std::vector<int64_t> widths_;
  Side user_, item_;
  ParameterId first_bias_;
  std::vector<Layer> layers_;  // behind the first
  ParameterId output_weight_, output_bias_;

  // A batch: B samples, N = 2 B pairs.
  int64_t batch_size_;
  DeviceArray<int32_t> pair_numbers_;  // [4, N] of PairBuffers
  DeviceArray<BatchCursor> pair_cursor_;
  // Vectors of the batch's distinct rows, and their halves of the first layer: [B, ...] for users,
  // [N, ...] for items, the positive ones followed by the negative ones.
  DeviceArray<float> user_vectors_, grad_user_vectors_, user_part_, grad_user_part_;
  DeviceArray<float> item_vectors_, grad_item_vectors_, item_part_, grad_item_part_;
  HiddenRows hidden_;                           // of the pairs
  DeviceArray<float> joint_, grad_joint_;       // [N, D + H]
  DeviceArray<float> grad_score_, loss_terms_;  // [N]

  NeumfSlots slots_;
  std::unique_ptr<NeumfScorer> scorer_;
};

}  // namespace derrd
