#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/ranking_samples.h"
#include "engine/distill/sampled_rows.h"
#include "engine/distill/slot_losses.h"
#include "engine/distill/user_sampling.h"
#include "engine/models/model.h"
#include "engine/transposed_rows.h"

namespace derrd {

/// Options of the item side of IR-RRD.
struct IrOptions {
  /// K and L users of each item.
  RankingSamplerOptions sampler = {.interesting = 20,
                                   .uninteresting = 20,
                                   .interesting_draw = RandomPurpose::kIrUsers,
                                   .uninteresting_draw = RandomPurpose::kIrOthers};
  AnchorReduction reduction = AnchorReduction::kSum;
};

/// The item side of IR-RRD (Kang et al., Information Sciences'21): for each item a relaxed ranking
/// loss over users. A batch takes the distinct items that Relaxed Ranking Distillation samples for
/// the batch's users. Users who have interacted with an item are not ranked for it. Samples are
/// drawn once an epoch.
class IrLoss final : public DistillationLoss {
 public:
  /// @param lists the teacher's ranking of users [I, R]: those who have not interacted with the
  ///   item, best first, -1 padded; outlives the loss
  /// @param user_samples items of every user, from which a batch takes its items; null: a batch
  ///   takes its positive items
  IrLoss(double weight, const IrOptions& options, const DeviceDataset& data,
         Matrix<const int32_t> lists, std::shared_ptr<RankingSamples> user_samples, Model& student,
         int64_t batch_size, const Stream& stream);

  std::string_view name() const override { return "ir"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  std::vector<RowsRead> reads(const EpochPlan& plan, const Stream& stream) override {
    items_ = items(plan, stream);
    return slots_.reads(items_);
  }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;

  /// The samples of the epoch [I, K + L]: users.
  Matrix<const int32_t> samples() const { return samples_.slots().samples(); }

 private:
  /// Finds the items that the current batch takes.
  RowSegments items(const EpochPlan& plan, const Stream& stream) const;

  IrOptions options_;
  TransposedRows users_of_item_;
  RankingSamples samples_;
  std::optional<SampledRows> sampled_items_;
  SlotLosses slots_;
  RowSegments items_;  // of the current step
};

/// Makes "ir".
class IrFactory final : public LossFactory {
 public:
  /// @param sampling options of the items that are sampled for users
  explicit IrFactory(std::shared_ptr<const UserSampling> sampling);

  std::string_view name() const override { return "ir"; }
  std::string_view title() const override { return "Relaxed ranking from the items' side (ir)"; }
  OptionValues option_values() const override;
  std::optional<std::string> option_error() const override;
  TeacherPart needs() const override { return TeacherPart::kLists; }
  std::unique_ptr<DistillationLoss> make(DistillContext& context) const override;
  void add_memory(DistillMemory& memory) const override;

 private:
  bool takes_sampled_items() const { return items_ == "sampled"; }

  double weight_ = 5e-4;
  RankingSamplerOptions sampler_ = IrOptions().sampler;
  std::string items_ = "sampled";
  std::shared_ptr<const UserSampling> sampling_;
};

}  // namespace derrd
