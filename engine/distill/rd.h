#pragma once

#include <cstdint>
#include <memory>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/slot_losses.h"
#include "engine/models/model.h"
#include "kernels/distill/ranking_distillation.h"

namespace derrd {

/// Options of Ranking Distillation; the defaults are the original program's.
struct RdOptions {
  int64_t top = 10;          ///< K, the teacher's best items of each user
  double sharpness = 1.0;    ///< lambda: rank k weighs exp(-k / lambda)
  double tolerance = 0.1;    ///< mu of the dynamic weight
  int64_t negatives = 100;   ///< N, unobserved items by which the student's ranks are estimated
  int64_t warmup = 30;       ///< epochs with static weights alone
  bool renormalise = false;  ///< whether a user's dynamic weights are scaled to a sum of 1
  AnchorReduction reduction = AnchorReduction::kMean;
};

/// Ranking Distillation (Tang and Wang, KDD'18): the teacher's first K items count as observed. An
/// item's weight is larger the better the teacher ranks it, and the worse the student does.
/// Negatives are drawn once an epoch.
class RdLoss final : public DistillationLoss {
 public:
  /// @param lists the teacher's ranking [U, R >= K]: unobserved items, best first, -1 padded
  /// @param data outlives the loss
  /// @param capacity no batch has more distinct users
  RdLoss(double weight, RdOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
         Model& student, int64_t capacity, const Stream& stream);

  std::string_view name() const override { return "rd"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  std::vector<RowsRead> reads(const EpochPlan& plan, const Stream&) override {
    return slots_.reads(plan.distinct_users());
  }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;

  /// The samples of the epoch [U, K + N].
  Matrix<const int32_t> samples() const { return samples_.samples(); }

 private:
  RankWeight rank_weight(int epoch) const;

  RdOptions options_;
  const DeviceDataset& data_;
  SlotSamples samples_;
  SlotLosses slots_;
  SortSpace space_;
  RankWeight rank_weight_ = RankWeight::kStatic;  // of the current epoch
};

/// Makes "rd".
class RdFactory final : public LossFactory {
 public:
  RdFactory();

  std::string_view name() const override { return "rd"; }
  std::string_view title() const override { return "Ranking Distillation (rd)"; }
  TeacherPart needs() const override { return TeacherPart::kLists; }
  std::unique_ptr<DistillationLoss> make(DistillContext& context) const override;
  void add_memory(DistillMemory& memory) const override;

 private:
  double weight_ = 1.0;
  RdOptions values_;
};

}  // namespace derrd
