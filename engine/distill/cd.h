#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/device_dataset.h"
#include "engine/distill/loss.h"
#include "engine/distill/loss_factory.h"
#include "engine/distill/slot_losses.h"
#include "engine/models/model.h"
#include "engine/sort_space.h"
#include "engine/teacher/teacher.h"
#include "kernels/platform/memory.h"

namespace derrd {

/// Options of Collaborative Distillation.
struct CdOptions {
  int64_t items = 50;          ///< n, drawn for each user
  int64_t list_length = 3000;  ///< R, items in the teacher's ranking of each user
  double sharpness = 150.0;    ///< T: an item of rank k is drawn with weight exp(-k / T)
  double t1 = 2.0, t2 = 0.0;   ///< target = sigmoid((score + t2) / t1)
};

/// Collaborative Distillation (Lee et al., ICDM'19): the student's probabilities of n items follow
/// the teacher's. Items are drawn once an epoch.
class CdLoss final : public DistillationLoss {
 public:
  /// @param lists outlive the loss
  /// @param capacity no batch has more distinct users
  CdLoss(double weight, CdOptions options, const DeviceDataset& data, TeacherLists lists,
         Model& student, int64_t capacity, const Stream& stream);

  std::string_view name() const override { return "cd"; }
  void begin_epoch(const EpochPlan& plan, const Stream& stream) override;
  std::vector<RowsRead> reads(const EpochPlan& plan, const Stream&) override {
    return slots_.reads(plan.distinct_users());
  }
  void add_gradients(const EpochPlan& plan, Model& student, LossSum loss,
                     const Stream& stream) override;

  /// The samples of the epoch [U, n].
  Matrix<const int32_t> samples() const { return samples_.samples(); }
  /// The teacher's probabilities of the samples [U, n]: the student's targets.
  Matrix<const float> targets() const { return {targets_.data(), samples().rows, samples().cols}; }

 private:
  CdOptions options_;
  Matrix<const int32_t> lists_;
  SlotSamples samples_;
  SlotLosses slots_;
  SortSpace space_;
  DeviceArray<float> list_targets_;  // [U, R] of all items of the lists
  DeviceArray<int32_t> positions_;   // [U, n] of the samples in the lists
  DeviceArray<float> targets_;       // [U, n]
};

/// Makes "cd".
class CdFactory final : public LossFactory {
 public:
  CdFactory();

  std::string_view name() const override { return "cd"; }
  std::string_view title() const override { return "Collaborative Distillation (cd)"; }
  std::optional<std::string> option_error() const override;
  TeacherPart needs() const override { return TeacherPart::kScores; }
  std::unique_ptr<DistillationLoss> make(DistillContext& context) const override;
  void add_memory(DistillMemory& memory) const override;

 private:
  double weight_ = 1.0;
  CdOptions values_;
};

}  // namespace derrd
