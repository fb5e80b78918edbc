#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/ranking_sampler.h"
#include "engine/distill/rrd.h"
#include "engine/distill/sampled_items.h"
#include "engine/distill/slot_losses.h"
#include "engine/models/model.h"
#include "engine/preset.h"
#include "engine/transposed_rows.h"
#include "kernels/platform/memory.h"

namespace derrd {

struct IrOptions {
  double weight = 5e-4;
  int64_t interesting = 20;    ///< K users
  int64_t uninteresting = 20;  ///< L users
  int64_t list_length = 500;   ///< R, users in the teacher's ranking for each item
  double sharpness = 10.0;     ///< T: a user of rank k is drawn with weight exp(-k / T)
  Preset preset = Preset::kAuthors;
};

/// The item side of IR-RRD (Kang et al., Information Sciences'21): the relaxed ranking loss of the
/// distinct items among those that RRD samples for a batch's users, over users. Users who have
/// interacted with an item rank for it neither among the interesting nor among the others. Samples
/// are drawn once an epoch.
class IrLoss final : public DistillationLoss {
 public:
  /// @param lists the teacher's ranking of users [I, R]: those who have not interacted with the
  ///   item, best first, -1 padded; outlives the loss
  /// @param sampled says which these items are; empty: those of the batch's positive ones instead
  /// @param capacity no batch has more distinct positive items
  IrLoss(IrOptions options, const DeviceDataset& data, Matrix<const int32_t> lists,
         std::optional<SampledItems> sampled, Model& student, int64_t capacity,
         const Stream& stream);

  std::string_view name() const override { return "ir"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  void add_gradients(const EpochPlan& plan, Model& student, double* loss,
                     const Stream& stream) override;

  /// The samples of the epoch [I, K + L]: users.
  Matrix<const int32_t> samples() const { return slots_.samples(); }

 private:
  /// The current batch's items, whose losses are taken.
  RowSegments items(const EpochPlan& plan, const Stream& stream) const;

  IrOptions options_;
  TransposedRows users_of_item_;
  RankingSampler sampler_;
  std::optional<SampledItems> sampled_;
  SlotLosses slots_;
};

/// "ir".
class IrFactory final : public LossFactory {
 public:
  /// @param rrd whose options say what is sampled; outlives this
  explicit IrFactory(const RrdFactory& rrd) : rrd_(rrd) {}

  std::string_view name() const override { return "ir"; }
  std::string_view title() const override { return "Relaxed ranking from the items' side (ir)"; }
  std::vector<LossOption> options() override;
  std::string complaint() const override;
  const LossFactory* consulted() const override { return items_ == "sampled" ? &rrd_ : nullptr; }
  TeacherPart needs() const override { return TeacherPart::kLists; }
  std::unique_ptr<DistillationLoss> make(const DistillContext& context) const override;

 private:
  const RrdFactory& rrd_;
  IrOptions values_;
  std::string items_ = "sampled";
};

}  // namespace derrd
