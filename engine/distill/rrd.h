#pragma once

#include <cstdint>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/ranking_sampler.h"
#include "engine/distill/slot_losses.h"
#include "engine/models/model.h"
#include "kernels/platform/memory.h"

namespace derrd {

struct RrdOptions {
  double weight = 1e-3;        ///< lambda_RRD
  int64_t interesting = 40;    ///< K
  int64_t uninteresting = 40;  ///< L
  int64_t list_length = 500;   ///< R, items in the teacher's ranking of each user
  double sharpness = 10.0;     ///< T: an item of rank k is drawn with weight exp(-k / T)
  Selection selection = Selection::kSampled;
  /// Whose order the student learns: the interesting items' (equation 9), or that of all K + L
  /// (ablation (d) of Table 4).
  enum class Order { kInteresting, kAll } order = Order::kInteresting;
  Preset preset = Preset::kAuthors;
};

/// How the samples of these options are drawn.
RankingSamplerOptions sampler_options(const RrdOptions& options);

/// Relaxed Ranking Distillation (Section 4.2, equations 9 and 10): per user the order of K
/// interesting items and their place above L uninteresting ones. Samples are drawn once an epoch.
class RrdLoss final : public DistillationLoss {
 public:
  /// @param lists the teacher's ranking [U, R]: unobserved items, best first, -1 padded; outlives
  ///   the loss, as does
  /// @param teacher which is asked for Order::kAll only; else null
  /// @param capacity no batch has more distinct users
  RrdLoss(RrdOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
          const Scorer* teacher, Model& student, int64_t capacity, const Stream& stream);

  std::string_view name() const override { return "rrd"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  void add_gradients(const EpochPlan& plan, Model& student, double* loss,
                     const Stream& stream) override;

  /// The samples of the epoch [U, K + L].
  Matrix<const int32_t> samples() const { return slots_.samples(); }

 private:
  void order_all(const Stream& stream);

  RrdOptions options_;
  const Scorer* teacher_;
  RankingSampler sampler_;
  SlotLosses slots_;
  DeviceArray<int64_t> slot_offsets_;  // [U + 1] segments of the samples; Order::kAll only
  DeviceArray<float> teacher_score_;   // [U, K + L] likewise
};

/// "rrd".
class RrdFactory final : public LossFactory {
 public:
  std::string_view name() const override { return "rrd"; }
  std::string_view title() const override { return "Relaxed Ranking Distillation (rrd)"; }
  std::vector<LossOption> options() override;
  std::string complaint() const override;
  TeacherPart needs() const override {
    return ranking_ == "full" ? TeacherPart::kScorer : TeacherPart::kLists;
  }
  double recommended_share(std::string_view model) const override;
  std::unique_ptr<DistillationLoss> make(const DistillContext& context) const override;

  /// The options' values as a loss takes them.
  RrdOptions options_for(Preset preset) const;

 private:
  RrdOptions values_;
  std::string interesting_ = "sampled", ranking_ = "relaxed";
};

}  // namespace derrd
