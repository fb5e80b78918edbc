#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/ranking_samples.h"
#include "engine/distill/slot_losses.h"
#include "engine/distill/user_sampling.h"
#include "engine/models/model.h"
#include "kernels/distill/slot_scores.h"

namespace derrd {

/// Options of Relaxed Ranking Distillation.
struct RrdOptions {
  int64_t ordered = 40;  ///< leading samples whose order is learned: K, or K + L
  AnchorReduction reduction = AnchorReduction::kSum;
};

/// Relaxed Ranking Distillation (Section 4.2, equations 9 and 10): for each user the student learns
/// the order of K interesting items, and to rank them above L uninteresting ones.
class RrdLoss final : public DistillationLoss {
 public:
  /// @param weight lambda_RRD
  /// @param samples items of every user
  /// @param capacity no batch has more distinct users
  RrdLoss(double weight, RrdOptions options, std::shared_ptr<RankingSamples> samples,
          Model& student, int64_t capacity);

  std::string_view name() const override { return "rrd"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override {
    samples_->begin_epoch(plan, stream);
  }
  std::vector<RowsRead> reads(const EpochPlan& plan, const Stream&) override {
    return slots_.reads(plan.distinct_users());
  }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;

  /// The samples of the epoch [U, K + L].
  Matrix<const int32_t> samples() const { return samples_->slots().samples(); }

 private:
  RrdOptions options_;
  std::shared_ptr<RankingSamples> samples_;
  SlotLosses slots_;
};

/// Makes "rrd".
class RrdFactory final : public LossFactory {
 public:
  /// @param sampling options of the samples, which other losses may read too
  explicit RrdFactory(std::shared_ptr<UserSampling> sampling);

  std::string_view name() const override { return "rrd"; }
  std::string_view title() const override { return "Relaxed Ranking Distillation (rrd)"; }
  std::optional<std::string> option_error() const override { return sampling_->option_error(); }
  TeacherPart needs() const override {
    return sampling_->orders_all() ? TeacherPart::kScorer : TeacherPart::kLists;
  }
  OptionValues option_values() const override;
  void join(const std::vector<const LossFactory*>& sum) override;
  double recommended_share(std::string_view model) const override;
  std::unique_ptr<DistillationLoss> make(DistillContext& context) const override;
  void add_memory(DistillMemory& memory) const override;

 private:
  double weight() const { return weight_.value_or(default_weight_); }

  std::optional<double> weight_;
  double default_weight_ = 1e-3;  // the authors' program
  std::shared_ptr<UserSampling> sampling_;
};

}  // namespace derrd
