#pragma once

#include <cstdint>

#include "engine/models/model.h"
#include "engine/parameters.h"

namespace derrd {

/// BPR-MF (Rendle et al., UAI'09): score u.i, no bias; loss: sum over the batch of -log
/// sigmoid(s_ui - s_uj).
class BprModel final : public Model {
 public:
  /// Declares user_embedding [users, dim] and item_embedding [items, dim], N(0, 0.01^2).
  BprModel(int64_t users, int64_t items, int64_t dim, int64_t batch_size, Parameters& parameters);

  std::string_view kind() const override { return "bpr"; }
  void add_gradients(const Batches& batches, double* loss, const Stream& stream) override;
  Representations representations() const override;
  void leave_one_out(LeaveOneOutRanks ranks, const DeviceDataset& data,
                     const Stream& stream) const override;

 private:
  const Parameters& parameters_;
  ParameterId user_, item_;
  DeviceArray<float> loss_terms_, coefficient_;  // [batch size]
};

}  // namespace derrd
