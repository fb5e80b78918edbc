#pragma once

#include <cstdint>

#include "engine/models/model.h"
#include "engine/models/model_memory.h"
#include "engine/parameters.h"
#include "kernels/models/bpr.h"

namespace derrd {

/// BPR-MF (Rendle et al., UAI'09): score u.i, no bias; loss: sum over the batch of -log
/// sigmoid(s_ui - s_uj).
class BprModel final : public Model {
 public:
  /// Declares user_embedding [users, dim] and item_embedding [items, dim], N(0, 0.01^2).
  BprModel(int64_t users, int64_t items, int64_t dim, int64_t batch_size, Parameters& parameters);

  static ModelMemory memory(const ModelSizes& sizes, const ModelUse& use);

  std::string_view kind() const override { return "bpr"; }
  std::vector<RowsRead> reads(const EpochPlan& plan) const override { return batch_rows(plan); }
  void forward(const EpochPlan& plan, LossSum loss, const Stream& stream) override;
  void backward(const EpochPlan& plan, const Stream& stream) override;
  Representations representations() const override;
  void reserve_slots(int64_t, int64_t) override {}
  void score_slots(Matrix<float> score, const SlotBatch& batch, Entity anchor,
                   const Stream& stream) override;
  void add_slot_gradients(Matrix<const float> grad_score, const SlotBatch& batch,
                          const SlotIndex& index, Entity anchor, const Stream& stream) override;
  std::vector<NamedMatrix> tensors() const override;
  Scorer& scorer(const Stream& stream) override;

 private:
  BprCall call(const EpochPlan& plan) const;

  const Parameters& parameters_;
  ParameterId user_, item_;
  DeviceArray<float> loss_terms_, coefficient_;  // [batch size]
  InnerProductScorer scorer_;
};

}  // namespace derrd
